"""Downloads of model files from Hugging Face and ModelScope: resumed, checked and shown."""
