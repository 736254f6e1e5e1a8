"""Finds where speech lies (Silero VAD) and cuts the audio into segments."""
