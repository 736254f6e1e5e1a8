"""People's speech through RAPL, mlx-audio and faster-whisper, all with the same published weights."""

from rapl_bench.groups.real.measurement import measure

__all__ = ["measure"]
