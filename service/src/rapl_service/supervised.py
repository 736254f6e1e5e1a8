"""`python -m rapl_service.supervised MODULE ARGUMENTS...`: runs a module in a process that ends with its supervisor.

The supervisor passes the read end of a pipe and keeps the write end. When the supervisor ends, even by SIGKILL, the
system closes the write end. This works on every system; Linux's parent-death signal would be a second way to test.
"""

import os
import runpy
import signal
import sys
import threading
import time

PIPE_VARIABLE = "RAPL_SUPERVISOR_PIPE"
"""The environment variable with the number of the pipe's descriptor. Without it, the process has no supervisor."""
STOP_GRACE_S = 35.0
"""After SIGTERM a service finishes its running requests within 30 s."""


def main() -> None:
    # Ctrl-C while the modules are imported ends the process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if pipe := os.environ.pop(PIPE_VARIABLE, ""):
        threading.Thread(target=_end_with_supervisor, args=[int(pipe)], name="supervisor", daemon=True).start()
    _, module, *arguments = sys.argv
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_supervisor(pipe: int) -> None:
    """Ends this process as SIGTERM does, and after STOP_GRACE_S in any case."""
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
