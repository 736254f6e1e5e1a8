"""MemoryWatch sums the memory of a process and its children, also of those that end while it watches."""

import subprocess
import sys

import pytest
from rapl_bench.memory import MemoryWatch
from rapl_bench.processes import until

HOLDS_64_MB = "held = bytearray(b'x') * (64 << 20); input()"
THEN_WAITS = "; print(flush=True); input()"
HOLDS_64_MB_IN_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDS_64_MB!r}])"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux only")


@pytest.mark.parametrize("program", [HOLDS_64_MB, HOLDS_64_MB_IN_A_CHILD])
def test_the_peak_of_a_process_and_its_children_is_found(program):
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program + THEN_WAITS], stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with MemoryWatch(process.pid) as watch:
            until("64 MB are held", lambda: watch.private_mb > 64)
            process.stdin.write(b"\n")
            process.stdin.flush()
            process.stdout.readline()  # the child has ended, and its parent has not
        process.communicate(b"\n")

    assert 64 < watch.private_mb < 110
    assert watch.peak_mb >= watch.private_mb
