"""The tables of the group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rapl_bench.groups.speakers.contestants import RAPL, Answer, Long
from rapl_bench.groups.speakers.known import Named
from rapl_bench.groups.speakers.mixtures import Conversation
from rapl_bench.groups.speakers.scores import COLLARS_S, confusion, error_rate, interval, resampled, score, within_one
from rapl_bench.reporting.results import Column, Measure, Row, Table

_DIFFERENCE = "DER minus the better other's"


@dataclass(frozen=True, slots=True)
class Outcome:
    answers: Sequence[Answer]
    memory_mb: float
    """When the last recording had been answered."""


def diarization_table(
    cases: Mapping[str, Sequence[Conversation]],
    outcomes: Mapping[str, Mapping[str, Outcome]],
    notes: Sequence[str],
    settings: dict[str, str],
) -> Table:
    """
    Args:
        cases: recordings by case.
        outcomes: by case and contestant, in the order of the recordings.
    """
    return Table(
        "speakers",
        "Who speaks when",
        (
            Column("DER", "%", 1), Column("DER, collar 0.25 s", "%", 1), Column("confusion", "%", 1),
            Column(_DIFFERENCE, "points", 1), Column(f"{_DIFFERENCE}, collar 0.25 s", "points", 1),
            Column("number of people within one", "%", 0), Column("CPU time of an audio second", "s", 4),
            Column("time of an audio second", "s", 4), Column("memory", "MB", 0),
        ),
        tuple(row for case, recordings in cases.items() for row in _rows(case, recordings, outcomes[case])),
        plotted="DER",
        notes=(
            "DER is the diarization error rate, pooled, with overlaps. Ranges are 95 % intervals over recordings; for "
            "a difference, both are taken on the same recordings.",
            "All audio is sent, without speech detection before it.",
            *notes,
        ),
        settings=settings,
    )  # fmt: skip


def _rows(case: str, recordings: Sequence[Conversation], outcomes: Mapping[str, Outcome]) -> list[Row]:
    scores = {
        name: [[score(each.turns, answer.turns, each.duration_s, collar_s)
                for each, answer in zip(recordings, outcome.answers, strict=True)] for collar_s in COLLARS_S]
        for name, outcome in outcomes.items()
    }  # fmt: skip
    audio_s = sum(each.duration_s for each in recordings)
    rows: list[Row] = []
    for name, outcome in outcomes.items():
        exact, lenient = scores[name]
        low, high = interval(exact)
        measures = {
            "DER": Measure(100 * error_rate(exact), 100 * low, 100 * high),
            "DER, collar 0.25 s": Measure(100 * error_rate(lenient)),
            "confusion": Measure(100 * confusion(exact)),
            "number of people within one": Measure(100 * within_one(exact)),
            "CPU time of an audio second": Measure(sum(each.cpu_s for each in outcome.answers) / audio_s),
            "time of an audio second": Measure(sum(each.took_s for each in outcome.answers) / audio_s),
            "memory": Measure(outcome.memory_mb),
        }
        others = [each for other, each in scores.items() if other != RAPL]
        if name == RAPL and others:
            for index, column in enumerate((_DIFFERENCE, f"{_DIFFERENCE}, collar 0.25 s")):
                mine, best = scores[name][index], min((each[index] for each in others), key=error_rate)
                low, high = interval(mine, best)
                measures[column] = Measure(100 * (error_rate(mine) - error_rate(best)), 100 * low, 100 * high)
        rows.append(Row(case, name, measures))
    return rows


def known_table(cases: Mapping[str, Sequence[Named]], people: int, settings: dict[str, str]) -> Table:
    """
    Args:
        cases: what was named in each mixture, by case.
        people: how many there are in all mixtures.
    """
    return Table(
        "known-speakers",
        "Known speakers",
        (
            Column("named right", "%", 1), Column("named as another", "%", 1), Column("without a turn", "%", 1),
            Column("strangers named as known", "%", 1),
        ),
        tuple(
            Row(f"{len(found)} {case}, {people} people", RAPL, {
                "named right": _pooled_percent(found, "right_s", "known_s"),
                "named as another": _pooled_percent(found, "as_another_s", "known_s"),
                "without a turn": _pooled_percent(found, "without_turn_s", "known_s"),
                "strangers named as known": _pooled_percent(found, "stranger_named_s", "stranger_s"),
            })
            for case, found in cases.items()
        ),
        plotted="named right",
        notes=(
            "Shares of the speech of people with a reference, and of people without one, where one person speaks. "
            "References are also there of everybody who does not speak. Ranges are 95 % intervals over mixtures.",
            "References of Asterisk's voices and of one reader are from other recordings than the mixtures; those of "
            "the other readers are from another part of the same recording.",
        ),
        settings=settings,
    )  # fmt: skip


def _pooled_percent(found: Sequence[Named], part: str, whole: str) -> Measure:
    def pooled(chosen: Sequence[int]) -> float:
        parts, wholes = ([getattr(found[each], name) for each in chosen] for name in (part, whole))
        return 100 * sum(parts) / max(1e-9, sum(wholes))

    return Measure(pooled(range(len(found))), *resampled(len(found), pooled))


def hours_table(found: Mapping[float, Long]) -> Table:
    """Args: found: by the hours of the recording."""
    return Table(
        "speakers-hours",
        "Speakers of hours in one request",
        (Column("memory", "MB", 0), Column("CPU time of an audio second", "s", 4)),
        tuple(
            Row(f"{hours:g} h", RAPL, {
                "memory": Measure(each.memory_mb),
                "CPU time of an audio second": Measure(each.cpu_s / hours / 3600),
            })
            for hours, each in found.items()
        ),
        plotted="memory",
        notes=("The mixtures for the test, again and again. `memory`: the most meanwhile, without mapped files.",),
    )  # fmt: skip
