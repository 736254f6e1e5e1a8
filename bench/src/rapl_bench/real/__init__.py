"""Published model weights and people's speech, from packages that are pinned by hash, and error rates."""
