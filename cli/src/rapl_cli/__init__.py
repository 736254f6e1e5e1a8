"""The `rapl` command. It starts the services as processes and calls the gateway over HTTP; it imports none of them."""
