"""Detects speech (Silero VAD) and cuts the audio into segments."""
