"""The HTTP server of every service: connections with limits, request ids, log lines, one error format."""
