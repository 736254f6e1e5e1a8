"""Calls from one service to another: a connection pool and a typed client for each kind of service."""
