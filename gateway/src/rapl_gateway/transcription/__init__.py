"""From media to text: segments, one engine task for each, checks of the text, and the result."""
