"""`rapl`: the front door for people. It starts the services and talks to the gateway; it imports none of them."""
