"""The fields of a request to transcribe."""
