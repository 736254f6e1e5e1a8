"""MemoryWatch sums the memory of a process and its children."""

import subprocess
import sys

import pytest
from rapl_bench.memory import MemoryWatch
from rapl_bench.processes import until

HOLDS_64_MB = "held = bytearray(b'x') * (64 << 20); input()"
HOLDS_64_MB_IN_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDS_64_MB!r}])"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux only")


@pytest.mark.parametrize("program", [HOLDS_64_MB, HOLDS_64_MB_IN_A_CHILD])
def test_the_peak_of_a_process_and_its_children_is_found(program):
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as process:
        with MemoryWatch(process.pid) as watch:
            until("64 MB are held", lambda: watch.private_mb > 64)
        process.communicate(b"\n")

    assert watch.private_mb < 110
    assert watch.peak_mb >= watch.private_mb
