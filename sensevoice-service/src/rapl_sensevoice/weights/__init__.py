"""The weights on disk: downloading, checking and converting them."""
