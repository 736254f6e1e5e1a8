"""How one service calls another over kept connections, with typed clients for each kind of service."""
