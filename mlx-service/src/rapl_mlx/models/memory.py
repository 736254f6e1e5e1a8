"""Memory of the machine."""

import os


def machine_bytes() -> int:
    """Returns the physical memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
