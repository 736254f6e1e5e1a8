"""What more replicas, more gateways and an autoscaler do: measured costs of a gateway, and the simulator's figures.

The group `replicas` shows that the simulator agrees with real services.
"""

import asyncio
import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rapl_bench.fleet import Fleet
from rapl_bench.reporting.results import BenchSettings, Column, Line, Measure, Row, Table, quantile
from rapl_bench.scaling.autoscaler import AutoscalerSettings
from rapl_bench.scaling.gateway_limit import AT_ONCE, CLIP_S, GatewayLimit, measured_limit
from rapl_bench.scaling.measured import ServiceTimes
from rapl_bench.scaling.mixed_load import RECORDINGS_S, MixedLoad
from rapl_bench.scaling.people import HOUR_S, Day
from rapl_bench.scaling.simulated_day import OVERHEAD_S, PREPARE_SPEED, SEGMENT_S, DayOutcome, simulated_day
from rapl_bench.scaling.simulated_load import simulated

PACE = 0.2
"""The simulated engines' time for one second of audio, in seconds."""
FLEETS, QUICK_FLEETS = (1, 2, 4, 10, 100, 1000), (1, 10)
MOST_BUSY = 0.7
"""Part of its core that a gateway may need. With more, requests wait for it."""
DAY, QUICK_DAY = Day(people=400, archive_hours=100), Day(people=40, archive_hours=5)
SLOT_S = 600.0
"""Length of the parts of the day that the plot shows."""
RULE = AutoscalerSettings()
WAITING = AutoscalerSettings(wait_s=20.0, poll_s=15.0, calm_s=600.0, factor=2.0)


@dataclass(frozen=True, slots=True)
class Rule:
    """An autoscaler's settings in a row of the report."""

    name: str
    settings: AutoscalerSettings


RULES = (
    Rule("as advised", RULE),
    Rule("20 s of waiting, by throughput", WAITING),
    Rule("5 s of waiting, by throughput", replace(WAITING, wait_s=5.0)),
    Rule("2 s of waiting, by throughput", replace(WAITING, wait_s=2.0)),
    Rule("2.5 s of audio per replica, usually", replace(RULE, usual_s=2.5)),
    Rule("10 s of audio per replica, usually", replace(RULE, usual_s=10.0)),
    Rule("no trigger for sudden load", replace(RULE, sudden_s=math.inf)),
    Rule("a look every 15 s", replace(RULE, poll_s=15.0)),
    Rule("a look every 60 s", replace(RULE, poll_s=60.0)),
    Rule("a model that loads in 5 s", replace(RULE, load_s=5.0)),
    Rule("a model that loads in 120 s", replace(RULE, load_s=120.0)),
    Rule("a model that loads in 300 s", replace(RULE, load_s=300.0)),
    Rule("an average of 2 min", replace(RULE, average_s=120.0)),
    Rule("fewer replicas after 5 min", replace(RULE, calm_s=300.0)),
    Rule("at least 4 replicas", replace(RULE, least=4)),
    Rule("always 20 replicas", replace(RULE, least=20)),
)


async def measure(settings: BenchSettings) -> Sequence[Table]:
    with Fleet(settings.scratch) as fleet:
        limit = await measured_limit(fleet, quick=settings.quick)
    fleets = await asyncio.to_thread(_fleets, limit, QUICK_FLEETS if settings.quick else FLEETS)
    day, rules = (QUICK_DAY, RULES[:2]) if settings.quick else (DAY, RULES)
    outcomes = await asyncio.to_thread(_days, day, rules)
    return [_gateway_table(limit), fleets, _rules_table(day, outcomes), _day_table(day, next(iter(outcomes.values())))]


def _gateway_table(limit: GatewayLimit) -> Table:
    ms = {
        f"a clip of {CLIP_S:g} s": (limit.gateway_clip_s, limit.preprocess_clip_s),
        "a minute of a recording (m4a)": (60 * limit.gateway_recording_s, 60 * limit.preprocess_recording_s),
        "a second of watching 100 replicas": (100 * limit.poll_s, None),
        "a segment, for each 100 replicas": (100 * limit.replica_clip_s, None),
    }
    rows = [
        Row(case, name, {"CPU time": Measure(spent_s * 1000)})
        for case, both in ms.items()
        for name, spent_s in zip(("gateway", "preprocess-service"), both, strict=True)
        if spent_s is not None
    ]
    return Table(
        name="scaling-gateway",
        title="CPU time of a gateway and of preprocess-service, in front of an engine that takes no time",
        columns=(Column("CPU time", "ms"),),
        rows=tuple(rows),
        plotted="CPU time",
        notes=(
            f"A gateway is one process and uses one core: at most {limit.clips_per_core():.0f} clips per second. Here "
            f"it did {limit.requests_per_s:.0f} with {AT_ONCE} at once, because load generator, engine and "
            "preprocess-service share the cores with it.",
        ),
    )


def _fleets(limit: GatewayLimit, counts: Sequence[int]) -> Table:
    segments = {
        length_s: [(SEGMENT_S * (place + 1) / PREPARE_SPEED, SEGMENT_S) for place in range(round(length_s / SEGMENT_S))]
        for length_s in RECORDINGS_S
    }
    times = ServiceTimes(OVERHEAD_S, segments)
    rows = [Row(f"{count} replicas", "simulated", dict(_fleet_measures(count, limit, times))) for count in counts]
    return Table(
        name="scaling-fleets",
        title="Clips and long recordings at once: what more replicas do",
        columns=(
            Column("throughput", "s of audio per s", 1), Column("beside the engines alone", "", 3),
            Column("p95 of clips", "s"), Column("cores for gateways", "", 2), Column("gateways", "", 0),
            Column("cores for preprocess-service", "", 2),
        ),
        rows=tuple(rows),
        plotted="beside the engines alone",
        notes=(
            f"An engine takes {PACE:g} s for one second of audio. For each replica, four people send clips and two "
            "clients send recordings, as in the group `replicas`. The cores follow from the CPU times in the table "
            f"before; a gateway may use {MOST_BUSY:g} of one.",
        ),
    )  # fmt: skip


def _fleet_measures(count: int, limit: GatewayLimit, times: ServiceTimes) -> Iterator[tuple[str, Measure]]:
    print(f"rapl bench:   {count} replicas", file=sys.stderr)
    load = MixedLoad.of(count, PACE, measured_s=60.0 if count <= 100 else 20.0)
    rate = count / PACE
    clips_per_s = load.people / (load.pause_s + 8.5 * PACE)
    gateways = 1
    while (busy := limit.busy(clips_per_s / gateways, rate / 2 / gateways, count)) > MOST_BUSY:
        gateways += 1
    outcome = simulated(load, times, engines=count, gateways=gateways, pace=PACE)
    of_preprocess = clips_per_s * limit.preprocess_clip_s + rate / 2 * limit.preprocess_recording_s
    yield "throughput", Measure(outcome.throughput(load.measured_s))
    yield "beside the engines alone", Measure(outcome.throughput(load.measured_s) / rate)
    yield "p95 of clips", Measure(quantile(outcome.clips_s, 0.95))
    yield "cores for gateways", Measure(busy * gateways)
    yield "gateways", Measure(gateways)
    yield "cores for preprocess-service", Measure(of_preprocess)


def _days(day: Day, rules: Sequence[Rule]) -> dict[str, DayOutcome]:
    found = {}
    for rule in rules:
        print(f"rapl bench:   a day, {rule.name}", file=sys.stderr)
        found[rule.name] = simulated_day(day, rule.settings, pace=PACE)
    return found


def _rules_table(day: Day, outcomes: dict[str, DayOutcome]) -> Table:
    rows = [
        Row(
            f"{day.people} people and {day.archive_hours:g} h at night",
            name,
            {
                "p95 of the wait": Measure(outcome.wait_s(0.95)),
                "p99 of the wait": Measure(outcome.wait_s(0.99)),
                "longest wait": Measure(outcome.wait_s(1.0)),
                "replica hours": Measure(outcome.replica_hours()),
                "changes": Measure(len(outcome.changes())),
                "taken back within 10 min": Measure(outcome.flaps(600)),
            },
        )
        for name, outcome in outcomes.items()
    ]
    return Table(
        name="scaling-autoscaler",
        title="What the autoscaler's settings cost: a simulated day",
        columns=(
            Column("p95 of the wait", "s"), Column("p99 of the wait", "s"), Column("longest wait", "s"),
            Column("replica hours", "", 1), Column("changes", "", 0), Column("taken back within 10 min", "", 0),
        ),
        rows=tuple(rows),
        plotted="p95 of the wait",
        notes=(
            "The wait of a clip is its latency without the engine's own time for it. Each row differs from the first "
            "in what its name says. `taken back within 10 min`: replicas were removed and added again.",
        ),
        settings={"first row": str(RULE), "engine": f"{PACE:g} s for one second of audio"},
    )  # fmt: skip


def _day_table(day: Day, outcome: DayOutcome) -> Table:
    slots = [(start_s, start_s + SLOT_S) for start_s in range(0, round(day.length_s), round(SLOT_S))]
    hours = tuple(start_s / HOUR_S for start_s, _ in slots)
    polls = outcome.polls
    arrived_s = [next((p.arrived_s for p in polls if p.at_s >= start_s), polls[-1].arrived_s) for start_s, _ in slots]
    needed = (*((after - before) / SLOT_S * PACE for before, after in itertools.pairwise(arrived_s)), 0.0)
    by_slot: dict[int, list[float]] = {}
    for at_s, wait_s in outcome.clips:
        by_slot.setdefault(int(at_s // SLOT_S), []).append(wait_s)
    waits = tuple(quantile(by_slot[place], 0.95) if place in by_slot else 0.0 for place in range(len(slots)))
    at_night = (day.archive_begins_s - SLOT_S) / HOUR_S
    shown = tuple(value if hour < at_night else 0.0 for hour, value in zip(hours, needed, strict=True))
    replicas = Line(
        "replicas", "replicas", tuple(p.at_s / HOUR_S for p in polls), tuple(p.replicas for p in polls), is_step=True
    )
    lines = (
        replicas,
        Line("fully busy replicas that the clips need", "replicas", hours, shown),
        Line("p95 of the clips' wait, 10 min", "seconds", hours, waits),
    )
    busy = [p.replicas for p in polls if 9 * HOUR_S <= p.at_s < 17 * HOUR_S]
    measures = {
        "replicas, 9 to 17 h": Measure.of(busy),
        "most replicas": Measure(max(p.replicas for p in polls)),
        "archive done": Measure(outcome.archive_ended_s / HOUR_S),
        "clips": Measure(len(outcome.clips)),
    }
    return Table(
        name="scaling-day",
        title=f"A simulated day: {day.people} people dictate, {day.archive_hours:g} h of recordings from 20 h on",
        columns=(
            Column("replicas, 9 to 17 h", "", 0), Column("most replicas", "", 0), Column("archive done", "h", 2),
            Column("clips", "", 0),
        ),
        rows=(Row("the day", "simulated", measures),),
        plotted="most replicas",
        lines=lines,
        lines_over="hour of the day",
    )  # fmt: skip
