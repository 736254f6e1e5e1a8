"""Subtitles: cues that people can read, and the formats SubRip and WebVTT."""
