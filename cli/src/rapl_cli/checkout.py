"""Where the things of this checkout are."""

import os
from pathlib import Path

ROOT = Path(os.environ.get("RAPL_ROOT", Path(__file__).resolve().parents[3]))
STATE = ROOT / ".rapl"
"""What `rapl` installs and writes; it may be deleted at any time while nothing runs."""
SAMPLE = ROOT / "samples" / "three-one-four.wav"
SAMPLE_MODEL = "rapl/selftest"
SAMPLE_TEXT = "3 1 4 1 5 9."
"""What the self-test model makes of the sample."""
