"""The process of one model: how the parent starts and pings it, its pipes, and the engine in it."""
