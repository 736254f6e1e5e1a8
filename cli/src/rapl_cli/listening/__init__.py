"""Speech to text while a person speaks: where the audio comes from, the session with the gateway, and what is shown."""
