"""Turns media into text: segments, one engine task for each segment, checks of the text, and the result."""
