"""Fetches a model's files from Hugging Face and checks them."""
