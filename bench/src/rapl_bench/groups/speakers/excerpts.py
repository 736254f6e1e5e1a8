"""Excerpts of meetings and telephone talk with the truth of who speaks when."""

from pathlib import Path

from rapl_bench.groups.speakers.mixtures import Conversation, Turns, float_samples
from rapl_bench.real.recordings import SHARED, RealRecording


def excerpts(folder: Path = SHARED / "speakers") -> list[Conversation]:
    """Every excerpt of the folder; none where the folder is missing."""
    found = []
    for truth in sorted(folder.glob("*.rttm")) if folder.exists() else []:
        recording = RealRecording(truth.stem, "real-speech", None, None, truth.with_suffix(".flac"))
        found.append(Conversation(truth.stem, float_samples(recording.pcm()), _turns(truth)))
    return found


def _turns(path: Path) -> Turns:
    """Reads RTTM: `SPEAKER file channel start duration <NA> <NA> name ...`."""
    fields = [line.split() for line in path.read_text().splitlines() if line.strip()]
    return tuple((float(each[3]), float(each[3]) + float(each[4]), each[7]) for each in fields)
