"""The tables: what listeners get, the lag of several sessions, and whether the texts are those of files."""

import asyncio
import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rapl_bench.groups.realtime.contestants import Rapl
from rapl_bench.groups.realtime.figures import COLUMNS, LONG_TURN_S, NOTES, measures
from rapl_bench.groups.realtime.speaking import Listener, Spoken, until_last_sound
from rapl_bench.reporting.results import Column, Measure, Row, Table, quantile
from rapl_bench.rounds import rotated

AT_SOUND, AT_ONCE = "RAPL, commit at the last sound", "RAPL, commit at the last sample"
LATER = "RAPL, commit 0.5 s later"
UPLOAD, WHISPER_LIVE_KIT = "RAPL, whole upload at the end", "WhisperLiveKit"
Listen = Callable[[bytes], Awaitable[Spoken]]
"""Plays s16le samples with 16 kHz and listens."""
Played = dict[str, list[Spoken]]
"""What was received, by contestant, in the order of the recordings."""
_LATER_S = 0.5
_LAG_COLUMNS = (
    Column("final_after_stop_ms p50", "ms", 0),
    Column("final_after_stop_ms p95", "ms", 0),
    Column("sent before the end", "%", 1),
)


@dataclass(frozen=True, slots=True)
class Clip:
    name: str
    language: str
    """ISO 639-1."""
    reference: str | None
    """What is said; None if it is not known."""
    pcm: bytes
    """s16le, 16 kHz."""

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / 32_000


def contestants(rapl: Rapl, model: str, other: Listener | None = None) -> dict[str, Listen]:
    """RAPL's sessions and its upload, and WhisperLiveKit if it is given; by their names in the tables."""
    found: dict[str, Listen] = {
        AT_SOUND: lambda pcm: rapl.listen(model, until_last_sound(pcm), 0.0),
        AT_ONCE: lambda pcm: rapl.listen(model, pcm, 0.0),
        LATER: lambda pcm: rapl.listen(model, pcm, _LATER_S),
        UPLOAD: rapl.upload(model).listen,
    }
    return found | ({WHISPER_LIVE_KIT: other.listen} if other else {})


async def played(listeners: Mapping[str, Listen], clips: Sequence[Clip]) -> Played:
    """Plays each recording to each listener, one at a time, after a short one that warms it up."""
    found: Played = {name: [] for name in listeners}
    shortest = min(clips, key=lambda clip: clip.duration_s)
    for listen in listeners.values():
        await listen(shortest.pcm)
    for number, clip in enumerate(clips):
        print(f"rapl bench:   {clip.name}", file=sys.stderr)
        for name in rotated(list(listeners), number):
            found[name].append(await listeners[name](clip.pcm))
    return found


def figures(title: str, model: str, clips: Sequence[Clip], found: Played, note: str = "") -> Table:
    """What listeners got of the clips.

    Args:
        title: names the engine and the recordings.
        model: the id of the engine's model.
        clips: the recordings.
        found: what `played` returned for them.
        note: about WhisperLiveKit.
    """
    long = [number for number, clip in enumerate(clips) if clip.duration_s >= LONG_TURN_S]
    cases = {f"{LONG_TURN_S:g} s and more": long}
    if len(long) < len(clips):
        cases["all recordings"] = list(range(len(clips)))
    rows = [
        Row(f"{case}: {len(numbers)}", name, _row(name, numbers, clips, found))
        for case, numbers in cases.items()
        for name in found
        if numbers
    ]
    return Table(
        name=f"realtime-{model.rpartition('/')[2]}",
        title=f"Words while a person speaks: {title}",
        columns=COLUMNS,
        rows=tuple(rows),
        plotted="final_after_stop_ms p50",
        notes=(*NOTES, *filter(None, [note])),
    )


def _row(name: str, numbers: Sequence[int], clips: Sequence[Clip], found: Played) -> dict[str, Measure]:
    return measures(
        [found[name][number] for number in numbers],
        [clips[number].reference for number in numbers],
        [found[UPLOAD][number] for number in numbers],
    )


async def lag(rapl: Rapl, model: str, clip: Clip, counts: Sequence[int]) -> Table:
    """Plays a recording to several sessions at the same time. They begin one after another within a second."""
    rows: list[Row] = []
    for count in counts:
        print(f"rapl bench:   {count} sessions", file=sys.stderr)
        spoken = await asyncio.gather(*(_started_later(rapl, model, clip, n / count) for n in range(count)))
        after_ms = [1000 * each.after_stop_s for each in spoken]
        sent = statistics.mean(each.sent_before_end / max(1, len(each.text)) for each in spoken)
        measured = {
            "final_after_stop_ms p50": Measure(quantile(after_ms, 0.5)),
            "final_after_stop_ms p95": Measure(quantile(after_ms, 0.95)),
            "sent before the end": Measure(100 * sent),
        }
        rows.append(Row(f"{count} at once", "RAPL", measured))
    return Table(
        name="realtime-lag",
        title=f"Several sessions at the same time, {clip.duration_s:g} s each, SenseVoice's time",
        columns=_LAG_COLUMNS,
        rows=tuple(rows),
        plotted="final_after_stop_ms p95",
        notes=("One engine computes one segment at a time. All commits come within one second.",),
    )


async def _started_later(rapl: Rapl, model: str, clip: Clip, delay_s: float) -> Spoken:
    await asyncio.sleep(delay_s)
    return await rapl.listen(model, clip.pcm, 0.0)


def equality(model: str, compared: Sequence[tuple[Clip, Spoken, Spoken]], note: str) -> Table:
    """Compares texts: each recording with what was heard of it as a turn and as a file.

    Args:
        model: names the table.
        compared: the recordings.
        note: which model heard which of them.
    """
    differences = [
        f"{clip.name}: turn: “{turn.text}”. file: “{file.text}”."
        for clip, turn, file in compared
        if turn.text != file.text
    ]
    measured = {"equal": Measure(len(compared) - len(differences)), "different": Measure(len(differences))}
    return Table(
        name=f"realtime-equality-{model.rpartition('/')[2]}",
        title="Turns whose text is that of the file, letter for letter",
        columns=(Column("equal", "recordings", 0), Column("different", "recordings", 0)),
        rows=(Row(f"{len(compared)} recordings", AT_ONCE, measured),),
        plotted="equal",
        notes=(f"{note} Each is played once, and uploaded once.", *differences),
    )


def noted(table: Table, note: str) -> Table:
    """The table with another note."""
    return replace(table, notes=(*table.notes, note))
