"""Clips of up to 30 s: wrong words, and whether RAPL's text is the engine's."""

from collections.abc import Mapping, Sequence

from rapl_bench.groups.real.answers import answers, model_for, words
from rapl_bench.groups.real.contestants import Answer, Contestant
from rapl_bench.real.error_rate import BY_CHARACTER, Errors, errors, total
from rapl_bench.real.models import RealModel
from rapl_bench.real.recordings import RealRecording
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table

_QUICK = 1
"""Clips of each language in a quick run; all of them have a reference."""


def tables(
    contestants: Mapping[str, Contestant],
    models: Mapping[str, RealModel],
    clips: Sequence[RealRecording],
    settings: BenchSettings,
    versions: Mapping[str, str],
) -> list[Table]:
    """Two tables: errors by language, and in how many clips RAPL's text equals the second contestant's."""
    languages = sorted({clip.language or "" for clip in clips})
    if settings.quick:
        known = [clip for clip in clips if clip.reference]
        clips = [clip for language in languages for clip in _of(language, known)[:_QUICK]]
    found = answers(contestants, models, clips, settings.scratch)
    rapl, direct, *_ = contestants
    rows = [
        Row(_case(language, clips, models), name, {"errors": Measure(100 * rate.rate)})
        for language in languages
        for name in contestants
        if (rate := _rate(language, clips, found[name])).length
    ]
    table = Table(
        name="real-clips",
        title="Wrong words in clips of people's speech, up to 30 s",
        columns=(Column("errors", "%", 1),),
        rows=tuple(rows),
        plotted="errors",
        notes=(
            "Words; characters for Chinese, Japanese and Korean. All get the same 16 kHz WAV, without a language, and "
            "use their defaults. Texts are compared as `rapl_bench.real.error_rate` says.",
        ),
        settings=dict(versions),
    )
    return [table, _equality(clips, found[rapl], found[direct], direct, rapl)]


def _equality(
    clips: Sequence[RealRecording], ours: Sequence[Answer], theirs: Sequence[Answer], direct: str, rapl: str
) -> Table:
    """`direct` and `rapl` are the contestants' names."""
    triples = list(zip(clips, ours, theirs, strict=True))
    same = [words(our.text) == words(their.text) for _, our, their in triples]
    case = f"{len(clips)} clips"
    counts = {
        "equal": sum(same),
        "transcribed again": sum(our.was_repeated for our in ours),
        "different without that": sum(
            not equal and not our.was_repeated for equal, our in zip(same, ours, strict=True)
        ),
    }
    listed = [
        f"{clip.source} {clip.name}{', transcribed again' if our.was_repeated else ''}: {rapl}: "
        f"“{words(our.text)}”. {direct}: “{words(their.text)}”."
        for (clip, our, their), equal in zip(triples, same, strict=True)
        if our.was_repeated or not equal
    ]
    return Table(
        name="real-equality",
        title=f"Clips whose text equals that of {direct}, letter for letter",
        columns=tuple(Column(name, "clips", 0) for name in counts),
        rows=(Row(case, rapl, {name: Measure(count) for name, count in counts.items()}),),
        plotted="equal",
        notes=("White space is not compared. RAPL transcribes a clip again if its text looks incomplete.", *listed),
    )


def _of(language: str, clips: Sequence[RealRecording]) -> list[RealRecording]:
    return [clip for clip in clips if (clip.language or "") == language]


def _case(language: str, clips: Sequence[RealRecording], models: Mapping[str, RealModel]) -> str:
    known = [clip for clip in _of(language, clips) if clip.reference]
    unit = "characters" if language in BY_CHARACTER else "words"
    model = model_for(known[0], models).id.removeprefix("real/whisper-")
    return f"{language}, {unit}, clips: {len(known)}, {model}"


def _rate(language: str, clips: Sequence[RealRecording], found: Sequence[Answer]) -> Errors:
    return total(
        errors(clip.reference, answer.text, clip.language)
        for clip, answer in zip(clips, found, strict=True)
        if clip.reference and (clip.language or "") == language
    )
