"""An engine for every speech-to-text model of mlx-audio: an HTTP process, and one process for each loaded model."""
