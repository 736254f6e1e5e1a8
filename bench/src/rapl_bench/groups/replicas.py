"""Mixed load through one and two gateways with one, two and four replicas, measured and simulated.

The replicas are engines whose time is proportional to the audio (`scaling.paced_engine`). The gateways and
preprocess-service are real.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, median

from rapl_bench.fleet import Fleet
from rapl_bench.processes import ServerProcess
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table, quantile
from rapl_bench.rounds import rotated
from rapl_bench.scaling.measured import Media, ServiceTimes, run_mixed, service_times
from rapl_bench.scaling.mixed_load import MixedLoad, Outcome
from rapl_bench.scaling.simulated_load import simulated

MEASURED, SIMULATED = "measured", "simulated"
OF_ONE = "one replica's throughput, times the replicas"


@dataclass(frozen=True, slots=True)
class Case:
    replicas: int
    gateways: int = 1

    @property
    def name(self) -> str:
        replicas = f"{self.replicas} replica" + ("s" if self.replicas > 1 else "")
        return f"{replicas}, {self.gateways} gateway" + ("s" if self.gateways > 1 else "")


CASES = (Case(1), Case(2), Case(4), Case(4, 2))


@dataclass(frozen=True, slots=True)
class Plan:
    pace: float
    """The engines' time for one second of audio, in seconds."""
    measured_s: float
    rounds: int
    cases: Sequence[Case] = CASES


FULL, QUICK = Plan(0.05, 60.0, 2), Plan(0.02, 4.0, 1)


@dataclass(slots=True)
class Pair:
    """A round of one case: what was measured, and what the simulator says of the same load."""

    load: MixedLoad
    measured: Outcome
    simulated: Outcome


async def measure(settings: BenchSettings) -> Sequence[Table]:
    return [table(await pairs(settings, plan := QUICK if settings.quick else FULL), plan)]


async def pairs(settings: BenchSettings, plan: Plan) -> dict[Case, list[Pair]]:
    """Measures and simulates every case in every round."""
    media, found = Media.made(), {case: list[Pair]() for case in plan.cases}
    with Fleet(settings.scratch) as fleet:
        preprocess = fleet.preprocess()
        engines = [fleet.paced(plan.pace) for _ in range(max(case.replicas for case in plan.cases))]
        names = {case.name: case for case in plan.cases}
        gateways = {case: _gateways(fleet, case, engines, preprocess) for case in plan.cases}
        for number in range(plan.rounds):
            for name in rotated(list(names), number):
                case = names[name]
                print(f"rapl bench:   {name}, round {number + 1}", file=sys.stderr)
                times = await service_times(gateways[case][0], preprocess, media, plan.pace)
                load = MixedLoad.of(case.replicas, plan.pace, plan.measured_s, seed=number)
                measured = await run_mixed(load, gateways[case], engines[: case.replicas], media)
                found[case].append(Pair(load, measured, simulate(load, times, case, plan)))
    return found


def simulate(load: MixedLoad, times: ServiceTimes, case: Case, plan: Plan) -> Outcome:
    return simulated(load, times, engines=case.replicas, gateways=case.gateways, pace=plan.pace)


def _gateways(
    fleet: Fleet, case: Case, engines: Sequence[ServerProcess], preprocess: ServerProcess
) -> list[ServerProcess]:
    return [fleet.gateway(engines[: case.replicas], preprocess) for _ in range(case.gateways)]


def table(found: Mapping[Case, Sequence[Pair]], plan: Plan) -> Table:
    of_one = [pair.measured.throughput(plan.measured_s) for pair in found.get(Case(1), ())]
    rows = list[Row]()
    for case, its in found.items():
        measured = _measures([pair.measured for pair in its], plan)
        if of_one:
            rates = [pair.measured.throughput(plan.measured_s) for pair in its]
            ideal = case.replicas * median(of_one)
            measured[OF_ONE] = Measure.of([rate / ideal for rate in rates])
        if case.gateways > 1:
            measured["smaller gateway"] = Measure.of([_least_part(pair.measured) for pair in its])
        rows.append(Row(case.name, MEASURED, measured))
        rows.append(Row(case.name, SIMULATED, _measures([pair.simulated for pair in its], plan)))
    reasons = {reason for its in found.values() for pair in its for reason in pair.measured.failures}
    return Table(
        name="replicas",
        title="Clips and long recordings at once, with more replicas and gateways",
        columns=(
            Column("throughput", "s of audio per s", 1), Column(OF_ONE, "", 3), Column("p95 of clips", "s"),
            Column("p95 of all", "s"), Column("mean of recordings", "s"), Column("smaller gateway", "", 3),
            Column("requests", "", 0), Column("failed", "", 0),
        ),
        rows=tuple(rows),
        plotted="throughput",
        notes=(
            f"An engine takes {plan.pace:g} s for one second of audio, so it does at most {1 / plan.pace:g} s of audio "
            "per second. For each replica, four people send clips of 3 to 20 s with pauses, and two clients send "
            "recordings of one to three minutes, one after the other.",
            "If about one request in twenty is a recording, `p95 of all` lies between the clips and the recordings, "
            "which take ten times as long, and one recording more or less changes it.",
            "`smaller gateway`: the part of the audio that went through the gateway with less of it; 0.5 is equal.",
            "The simulator gets the same load, the latency of a clip beyond its engine's time, and when "
            "preprocess-service has each segment of a recording, both measured before each run without load.",
            *(f"A request failed: {reason}" for reason in sorted(reasons)),
        ),
        settings={"rounds": str(plan.rounds), "measured": f"{plan.measured_s:g} s each"},
    )  # fmt: skip


def _measures(outcomes: Sequence[Outcome], plan: Plan) -> dict[str, Measure]:
    clips_s = [each for outcome in outcomes for each in outcome.clips_s]
    recordings_s = [each for outcome in outcomes for each in outcome.recordings_s]
    all_s = clips_s + recordings_s
    of_recordings = {"mean of recordings": Measure(mean(recordings_s))} if recordings_s else {}
    return of_recordings | {
        "throughput": Measure.of([outcome.throughput(plan.measured_s) for outcome in outcomes]),
        "p95 of clips": replace(Measure.of([each.clips_p95_s for each in outcomes]), value=quantile(clips_s, 0.95)),
        "p95 of all": replace(Measure.of([each.all_p95_s for each in outcomes]), value=quantile(all_s, 0.95)),
        "requests": Measure(len(all_s)),
        "failed": Measure(sum(len(outcome.failures) for outcome in outcomes)),
    }


def _least_part(outcome: Outcome) -> float:
    return min(outcome.by_gateway_s) / sum(outcome.by_gateway_s)
