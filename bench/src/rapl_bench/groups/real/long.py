"""Minutes of English by many speakers, with pauses and noises between them."""

import random
import sys
from collections.abc import Iterator, Mapping, Sequence

from rapl_bench.groups.real.contestants import Answer, Contestant
from rapl_bench.real.error_rate import errors
from rapl_bench.real.models import TINY_EN, RealModel
from rapl_bench.real.recordings import Joined, RealRecording, joined
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table

MINUTES = (3, 11)
_QUICK_MINUTES = (1,)
_PAUSES_S = (0.4, 2.5)
_MIN_WORDS = 3
_EACH_NOISE = 8
"""A noise follows each eighth recording."""
_MAX_NOISE_S = 6.0
_COLUMNS = (
    Column("errors", "%", 1),
    Column("faster than real time", "", 1),
    Column("coverage", "", 3),
    Column("problems", "", 0),
)


def table(
    contestants: Mapping[str, Contestant],
    models: Mapping[str, RealModel],
    clips: Sequence[RealRecording],
    prompts: Sequence[RealRecording],
    sounds: Sequence[RealRecording],
    settings: BenchSettings,
    versions: Mapping[str, str],
) -> Table:
    rows: list[Row] = []
    for minutes in _QUICK_MINUTES if settings.quick else MINUTES:
        recording = english(minutes * 60, clips, prompts, sounds)
        file = settings.scratch / f"real-{minutes}-min.wav"
        file.write_bytes(recording.wav())
        for name, contestant in contestants.items():
            answer = contestant.transcribe(models[TINY_EN], file)
            print(f"rapl bench:   {name}: {minutes} min", file=sys.stderr)
            rows.append(Row(f"{minutes} min", name, _measures(recording, answer)))
    return Table(
        name="real-long",
        title="Wrong words in joined English with noises, tiny.en",
        columns=_COLUMNS,
        rows=tuple(rows),
        plotted="errors",
        headline=f"{MINUTES[-1]} min",
        notes=(
            "Clips of many speakers and prompts of one, with pauses of 0.4 to 2.5 s and a noise after each eighth. "
            "Each is measured once, alone. Coverage and problems are what RAPL reports about its own text.",
        ),
        settings=dict(versions),
    )


def english(
    duration_s: float,
    clips: Sequence[RealRecording],
    prompts: Sequence[RealRecording],
    sounds: Sequence[RealRecording],
) -> Joined:
    """Recordings with a reference, of about `duration_s`, always the same ones; half of them are prompts."""
    shuffle = random.Random(0)
    spoken = [each for each in clips if each.language == "en" and each.reference]
    noises = [each for each in sounds if len(each.pcm()) <= _MAX_NOISE_S * 16_000]
    named = [each for each in prompts if len((each.reference or "").split()) >= _MIN_WORDS]
    for each in (spoken, noises, named):
        shuffle.shuffle(each)
    found: list[RealRecording] = []
    total_s = 0.0
    for each in _in_turn(spoken, named, noises):
        found.append(each)
        total_s += len(each.pcm()) / 16_000 + sum(_PAUSES_S) / 2
        if total_s >= duration_s:
            break
    return joined(found, _PAUSES_S)


def _in_turn(
    spoken: Sequence[RealRecording], prompts: Sequence[RealRecording], noises: Sequence[RealRecording]
) -> Iterator[RealRecording]:
    """A clip and a prompt in turn, then the rest of the prompts; after each eighth a noise."""
    order = [each for number, prompt in enumerate(prompts) for each in (*spoken[number : number + 1], prompt)]
    for number, each in enumerate(order, 1):
        yield each
        if number % _EACH_NOISE == 0:
            yield noises[number // _EACH_NOISE % len(noises)]


def _measures(recording: Joined, answer: Answer) -> dict[str, Measure]:
    measures = {
        "errors": Measure(100 * errors(recording.reference, answer.text, "en").rate),
        "faster than real time": Measure(recording.duration_s / answer.took_s),
    }
    if answer.coverage is not None:
        measures["coverage"] = Measure(answer.coverage)
    if answer.problems is not None:
        measures["problems"] = Measure(answer.problems)
    return measures
