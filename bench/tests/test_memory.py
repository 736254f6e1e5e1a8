"""Memory is that of a process and its children, also of those that have ended by the end."""

import subprocess
import sys

import pytest
from rapl_bench.memory import MemoryWatch

HOLDS_64_MB = "import time; held = bytearray(b'x') * (64 << 20); print(flush=True); time.sleep(0.5)"
LETS_A_CHILD_HOLD_THEM = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDS_64_MB!r}]); input()"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux only")


@pytest.mark.parametrize("program", [HOLDS_64_MB, LETS_A_CHILD_HOLD_THEM])
def test_the_peak_of_a_process_and_its_children_is_found(program):
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        with MemoryWatch(process.pid) as watch:
            process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.3)
        process.communicate(b"\n")

    assert 64 < watch.private_mb < 110
    assert watch.peak_mb >= watch.private_mb
