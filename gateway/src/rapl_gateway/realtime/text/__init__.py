"""Which words of an open turn are settled, and when it is transcribed again."""
