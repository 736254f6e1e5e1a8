"""What an operator can see of a service: metrics, traces, and the ids in its log."""
