"""The sockets on which a service listens: their certificate, and how they are closed."""
