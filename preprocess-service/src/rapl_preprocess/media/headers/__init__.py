"""Reads headers of containers, for what FFmpeg's libraries do not tell."""
