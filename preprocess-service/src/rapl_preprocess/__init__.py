"""Media in, 16 kHz mono speech out."""
