"""An hour's recording on the page: its progress, its cancellation, and the memory of the browser meanwhile.

    python tests/page_hour.py [MINUTES]

As for the tests, RAPL_SENSEVOICE_PYTHON and RAPL_MLX_PYTHON name the engines' Pythons. CHROMIUM may name another
program than `chromium`, such as Debian's `chromium-headless-shell`, which is smaller. It exits with 1 if the browser's
process of the page took more than MOST_BYTES.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from javascript import JavaScript
from page_gateways import BROWSER, page_gateways
from page_recordings import write_long
from services import running_fleet

MOST_BYTES = 300 << 20


def run(minutes: float) -> int:
    sensevoice, mlx = (os.environ[f"RAPL_{engine}_PYTHON"] for engine in ("SENSEVOICE", "MLX"))
    with (
        tempfile.TemporaryDirectory() as temporary,
        running_fleet(Path(temporary), sensevoice, mlx) as fleet,
        page_gateways(Path(temporary) / "page", fleet, mlx) as gateways,
    ):
        recording = write_long(Path(temporary) / "long.wav", 60 * minutes)
        found = json.loads(JavaScript(BROWSER).run("hour.mjs", recording, **gateways.environ))
    for name, value in found.items():
        print(f"{name}: {value / (1 << 20):.0f} MB" if name.endswith("_bytes") else f"{name}: {value}")
    return 1 if found["page_pss_bytes"] > MOST_BYTES else 0


if __name__ == "__main__":
    sys.exit(run(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))
