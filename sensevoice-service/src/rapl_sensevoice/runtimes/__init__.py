"""What computes the model: OpenVINO (the default) or FunASR."""
