"""Who speaks when: conversations made of recordings whose speakers are known, and how wrong the turns are."""

from rapl_bench.groups.speakers.measurement import measure

__all__ = ["measure"]
