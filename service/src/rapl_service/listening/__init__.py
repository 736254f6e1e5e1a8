"""The sockets on which a service listens: their certificate, how they are closed, and who may call."""
