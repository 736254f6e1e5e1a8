"""Takes pictures of every state of the page, light and dark, on a desktop and on a phone, with all services running.

    python tests/page_pictures.py FOLDER [WORD]

WORD: only of the states whose name contains it. As for the tests, RAPL_SENSEVOICE_PYTHON and RAPL_MLX_PYTHON name the
engines' Pythons. A machine without a Chinese font shows boxes instead of Chinese characters.
"""

import os
import sys
import tempfile
from pathlib import Path

from javascript import JavaScript
from page_gateways import BROWSER, page_gateways
from services import running_fleet

SLOW_BYTES_PER_S = 80_000
"""A model of 1.2 MB is downloaded while four pictures are taken."""


def take(folder: Path, word: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sensevoice, mlx = (os.environ[f"RAPL_{engine}_PYTHON"] for engine in ("SENSEVOICE", "MLX"))
    with (
        tempfile.TemporaryDirectory() as temporary,
        running_fleet(Path(temporary), sensevoice, mlx) as fleet,
        page_gateways(Path(temporary) / "page", fleet, mlx, SLOW_BYTES_PER_S) as gateways,
    ):
        print(JavaScript(BROWSER).run("pictures.mjs", folder.resolve(), word, **gateways.environ))


if __name__ == "__main__":
    take(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
