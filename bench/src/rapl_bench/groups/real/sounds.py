"""Sounds without speech: every word in their text is invented."""

from collections.abc import Mapping, Sequence

from rapl_bench.groups.real.answers import answers
from rapl_bench.groups.real.contestants import Contestant
from rapl_bench.real.error_rate import normalized
from rapl_bench.real.models import RealModel
from rapl_bench.real.recordings import RealRecording
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table

_QUICK = 4


def table(
    contestants: Mapping[str, Contestant],
    models: Mapping[str, RealModel],
    sounds: Sequence[RealRecording],
    settings: BenchSettings,
    versions: Mapping[str, str],
) -> Table:
    if settings.quick:
        sounds = sounds[:_QUICK]
    found = answers(contestants, models, sounds, settings.scratch)
    rows = [
        Row(f"{sound.source} {sound.name}", name, {"words": Measure(len(normalized(answers_[number].text, "en")))})
        for number, sound in enumerate(sounds)
        for name, answers_ in found.items()
    ]
    return Table(
        name="real-sounds",
        title="Words in sounds without speech, tiny.en",
        columns=(Column("words", "", 0),),
        rows=tuple(rows),
        plotted="words",
        settings=dict(versions),
    )
