"""A folder for PYTHONPATH: in a process with it, mlx-audio computes in float32 instead of float16."""
