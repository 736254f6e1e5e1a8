"""One module for each group of measurements, each with a `measure` coroutine. It has more files than other folders,
because each group is one."""
