"""Opens media files with FFmpeg's libraries and decodes one track to 16 kHz mono PCM."""
