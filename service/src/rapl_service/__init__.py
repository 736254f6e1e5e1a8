"""What every RAPL service process is built from. It knows the wire (`rapl_protocol`), and no service."""
