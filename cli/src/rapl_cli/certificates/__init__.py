"""The local certificate authority of `rapl cert`, the server's certificate, and how devices trust it."""
