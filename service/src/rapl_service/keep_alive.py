"""What both ends of a kept connection must agree on."""

KEEP_ALIVE_S = 75
"""How long a server keeps an idle connection open; a client lets go of it earlier."""
