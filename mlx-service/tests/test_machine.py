"""Machines that MLX supports."""

import pytest
from rapl_mlx.machine import unsupported_reason


@pytest.mark.parametrize(
    ("system", "machine", "mac_version", "reason"),
    [
        ("Darwin", "arm64", "14.0", None),
        ("Darwin", "arm64", "26.1", None),
        ("Linux", "x86_64", "", None),
        ("Darwin", "arm64", "13.6.1", "macOS 14"),
        ("Darwin", "x86_64", "15.0", "arm64"),
        ("Windows", "AMD64", "", "Windows"),
    ],
)
def test_an_unsupported_machine_gets_a_reason(system: str, machine: str, mac_version: str, reason: str | None):
    actual = unsupported_reason(system, machine, mac_version)
    assert actual is None if reason is None else reason in (actual or "")
