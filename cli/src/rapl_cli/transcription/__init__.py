"""The parts of `rapl transcribe`: finding recordings, sending requests, and showing progress."""
