"""The processes that decode, and the limits that the kernel enforces on them."""
