"""Any mlx-audio speech-to-text model as a RAPL engine: an HTTP parent and one process per loaded model."""
