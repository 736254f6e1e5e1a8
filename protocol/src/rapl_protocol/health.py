"""`python -m rapl_protocol.health URL`: exits 0 if the URL answers 200. For containers, which carry no curl."""

import sys
import urllib.error
import urllib.request


def is_healthy(url: str, timeout_s: float = 3.0) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_healthy(sys.argv[1]) else 1)
