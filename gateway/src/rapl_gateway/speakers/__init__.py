"""Who says what: finds the speakers of a recording with speaker-service, and gives the words to them."""
