"""What all contestants answered to some recordings."""

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rapl_bench.groups.real.contestants import Answer, Contestant
from rapl_bench.real.models import BASE, TINY_EN, RealModel
from rapl_bench.real.recordings import RealRecording

_AT_ONCE = 2
"""Contestants that work at the same time where no time is measured: two of them mostly use one core each."""


def model_for(recording: RealRecording, models: Mapping[str, RealModel]) -> RealModel:
    """TINY_EN for English, BASE for other languages."""
    return models[TINY_EN if recording.language in ("en", None) else BASE]


def answers(
    contestants: Mapping[str, Contestant],
    models: Mapping[str, RealModel],
    recordings: Sequence[RealRecording],
    folder: Path,
) -> dict[str, list[Answer]]:
    """The answers by contestant, in the order of the recordings. All get the same WAV, without a language.

    Args:
        contestants: by name.
        models: by id.
        recordings: what they transcribe.
        folder: for the WAV files.
    """
    files = [folder / f"real-{number}.wav" for number in range(len(recordings))]
    for file, recording in zip(files, recordings, strict=True):
        file.write_bytes(recording.wav())
    chosen = [model_for(recording, models) for recording in recordings]

    def all_of(name: str) -> list[Answer]:
        contestant = contestants[name]
        found = [contestant.transcribe(model, file) for model, file in zip(chosen, files, strict=True)]
        print(f"rapl bench:   {name}: {len(found)} recordings", file=sys.stderr)
        return found

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(contestants, pool.map(all_of, contestants), strict=True))


def words(text: str) -> str:
    """The text with single spaces, as it is compared letter for letter."""
    return " ".join(text.split())
