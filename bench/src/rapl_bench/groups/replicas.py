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

    def measured_s(self, plan: "Plan") -> float:
        """How long a round takes. Fewer replicas get more time, so that all cases have about as many requests."""
        return plan.measured_s / self.replicas

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
    """The length of a round with one replica."""
    rounds: int
    cases: Sequence[Case] = CASES


FULL, QUICK = Plan(0.1, 240.0, 2), Plan(0.02, 8.0, 1)


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
                load = MixedLoad.of(case.replicas, plan.pace, case.measured_s(plan), seed=number)
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
    of_one = [pair.measured.throughput(pair.load.measured_s) for pair in found.get(Case(1), ())]
    rows = list[Row]()
    for case, its in found.items():
        measured = _measures([pair.measured for pair in its], case.measured_s(plan))
        if of_one:
            rates = [pair.measured.throughput(pair.load.measured_s) for pair in its]
            ideal = case.replicas * median(of_one)
            measured[OF_ONE] = Measure.of([rate / ideal for rate in rates])
        if case.gateways > 1:
            measured["smaller gateway"] = Measure.of([_least_part(pair.measured) for pair in its])
        rows.append(Row(case.name, MEASURED, measured))
        rows.append(Row(case.name, SIMULATED, _measures([pair.simulated for pair in its], case.measured_s(plan))))
    reasons = {reason for its in found.values() for pair in its for reason in pair.measured.failures}
    return Table(
        name="replicas",
        title="Clips and long recordings at once, with more replicas and gateways",
        columns=(
            Column("throughput", "s of audio per s", 1), Column(OF_ONE, "", 3), Column("p95 of clips", "s"),
            Column("mean of clips", "s"), Column("p95 of recordings", "s"), Column("mean of recordings", "s"),
            Column("smaller gateway", "", 3), Column("requests", "", 0), Column("failed", "", 0),
        ),
        rows=tuple(rows),
        plotted="throughput",
        notes=(
            f"An engine takes {plan.pace:g} s for one second of audio, so it does at most {1 / plan.pace:g} s of audio "
            "per second. For each replica, four people send clips of 3 to 20 s with pauses, and two clients send "
            "recordings of one to three minutes, one after the other.",
            "`smaller gateway`: the part of the audio that went through the gateway with less of it; 0.5 is equal.",
            "The simulator gets the same load, the latency of a clip beyond its engine's time, and when "
            "preprocess-service has each segment of a recording, both measured before each run without load.",
            *(f"A request failed: {reason}" for reason in sorted(reasons)),
        ),
        settings={
            "rounds": str(plan.rounds), "measured": f"{plan.measured_s:g} s each, divided by the number of replicas",
        },
    )  # fmt: skip


def _measures(outcomes: Sequence[Outcome], measured_s: float) -> dict[str, Measure]:
    """Clips and recordings apart: a recording takes ten times as long, and the p95 of all lies between the two."""
    found = {
        "throughput": Measure.of([outcome.throughput(measured_s) for outcome in outcomes]),
        "requests": Measure(sum(len(outcome.clips_s) + len(outcome.recordings_s) for outcome in outcomes)),
        "failed": Measure(sum(len(outcome.failures) for outcome in outcomes)),
    }
    for name, latencies_s in {
        "clips": [outcome.clips_s for outcome in outcomes],
        "recordings": [outcome.recordings_s for outcome in outcomes],
    }.items():
        if together_s := [each for its in latencies_s for each in its]:
            rounds = Measure.of([quantile(its, 0.95) for its in latencies_s if its])
            found[f"p95 of {name}"] = replace(rounds, value=quantile(together_s, 0.95))
            found[f"mean of {name}"] = Measure(mean(together_s))
    return found


def _least_part(outcome: Outcome) -> float:
    return min(outcome.by_gateway_s) / sum(outcome.by_gateway_s)
