"""The parts of `rapl transcribe`: which recordings, the requests, and what the terminal shows."""
