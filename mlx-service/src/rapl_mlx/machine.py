"""Whether MLX can run on this machine."""

import platform
import sys

_MIN_MACOS = 14
"""Since 0.30, MLX has no wheel for an older macOS. Source: https://pypi.org/project/mlx/#files"""


def unsupported_reason(system: str, machine: str, mac_version: str) -> str | None:
    """Returns why MLX cannot run on such a machine, and a remedy; None if it can run.

    Args:
        system: as `platform.system()`.
        machine: as `platform.machine()`, of the running Python, not of the processor.
        mac_version: as `platform.mac_ver()[0]`, such as "15.1"; "" on other systems.
    """
    if system == "Linux":
        return None  # on the CPU, for tests
    if system != "Darwin":
        return f"MLX runs on Macs with Apple silicon, not on {system}. Use sensevoice-service instead."
    if machine != "arm64":
        return f"MLX needs an arm64 Python; this Python is {machine}. On an Apple silicon Mac, install a native Python."
    if int(mac_version.partition(".")[0] or 0) < _MIN_MACOS:
        return f"MLX needs macOS {_MIN_MACOS} or newer; this is macOS {mac_version}. Update macOS."
    return None


def this_machine_unsupported_reason() -> str | None:
    return unsupported_reason(platform.system(), platform.machine(), platform.mac_ver()[0])


if __name__ == "__main__":  # `rapl mlx` runs this check before it installs anything
    sys.exit(this_machine_unsupported_reason())
