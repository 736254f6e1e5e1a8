"""The libraries that compute the model: OpenVINO (the default) or FunASR."""
