"""A model's files: found in Hugging Face's cache or downloaded into it, and checked."""
