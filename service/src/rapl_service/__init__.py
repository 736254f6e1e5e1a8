"""The parts that all RAPL services have in common. The package uses `rapl_protocol` and depends on no service."""
