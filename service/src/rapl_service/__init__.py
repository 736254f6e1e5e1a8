"""What every RAPL service process is built from. It builds on `rapl_protocol` and knows no particular service."""
