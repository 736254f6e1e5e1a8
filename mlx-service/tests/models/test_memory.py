"""Memory of processes."""

import os

from rapl_mlx.models.memory import machine_bytes
from rapl_service.memory import process_bytes


def test_a_process_uses_part_of_the_machines_memory_and_an_ended_process_has_none():
    assert 0 < (process_bytes(os.getpid()) or 0) < machine_bytes()
    assert process_bytes(2**22 + 1) is None
