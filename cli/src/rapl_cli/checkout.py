"""Paths of this checkout, and the sample that ships with it."""

import os
from pathlib import Path

ROOT = Path(os.environ.get("RAPL_ROOT", Path(__file__).resolve().parents[3]))
STATE = ROOT / ".rapl"
"""Everything that `rapl` installs and writes. It may be deleted when no service is running."""
MACHINE_CHECK = ROOT / "mlx-service" / "src" / "rapl_mlx" / "machine.py"
"""A program that ends with a reason if MLX cannot run on this machine."""
SAMPLE = ROOT / "samples" / "three-one-four.wav"
SAMPLE_MODEL = "rapl/selftest"
SAMPLE_TEXT = "3 1 4 1 5 9."
"""The self-test model's transcript of the sample."""
