"""How RAPL grows beyond one machine: engines whose time is known, mixed load through real services, a simulator of
replicas, gateways and an autoscaler, and the figures of `docs/scaling.md`."""
