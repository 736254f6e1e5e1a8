"""Words while a person speaks: RAPL's realtime sessions, whole uploads and WhisperLiveKit with the same recordings."""

from rapl_bench.groups.realtime.measurement import measure

__all__ = ["measure"]
