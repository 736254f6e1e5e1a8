"""The process of one model: its start, its pipes, its heartbeat, and the engine in it."""
