"""Access control: API keys, allowed hosts and origins, and the checks before the gateway starts."""
