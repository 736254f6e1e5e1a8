"""Keywords: phrases that make the decoder prefer their words."""
