"""The decoding processes, and the limits that the kernel enforces on them."""
