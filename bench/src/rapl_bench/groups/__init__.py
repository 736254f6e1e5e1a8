"""One module for each group of measurements, each with a `measure` coroutine."""
