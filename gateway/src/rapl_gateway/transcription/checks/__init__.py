"""Judges whether the transcript of a segment contains everything that was said in it."""
