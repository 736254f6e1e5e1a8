"""The HTTP server of every service: connections with limits, request ids, one log line a request, one error shape."""
