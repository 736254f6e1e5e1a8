"""The simulator has the gateway's rules, and its figures follow from them."""

import random
from itertools import pairwise
from statistics import mean

import pytest
import simpy
from rapl_bench.scaling import simulator
from rapl_bench.scaling.measured import ServiceTimes
from rapl_bench.scaling.mixed_load import RECORDINGS_S, MixedLoad
from rapl_bench.scaling.simulated_load import simulated
from rapl_bench.scaling.simulator import SimulatedEngine, SimulatedGateway
from rapl_gateway.backends import scheduler
from rapl_gateway.transcription import segment_task

PACE = 0.1
TIMES = ServiceTimes(
    0.01, {length_s: [(0.1 * number, 25.0) for number in range(length_s // 25)] for length_s in RECORDINGS_S}
)


@pytest.fixture
def environment() -> simpy.Environment:
    return simpy.Environment()


def fleet(environment: simpy.Environment, engines: int, gateways: int = 1):
    replicas = [SimulatedEngine(environment, PACE) for _ in range(engines)]
    return replicas, [SimulatedGateway(environment, replicas, random.Random(0)) for _ in range(gateways)]


def ends(environment: simpy.Environment, events) -> list[float]:
    """Runs the simulation. Returns when each event happened."""
    found = dict[int, float]()
    for number, event in enumerate(events):
        event.callbacks.append(lambda _, number=number: found.update({number: environment.now}))
    environment.run()
    return [found[number] for number in range(len(found))]


def test_its_constants_are_the_gateways():
    assert (simulator.LONG_PREFETCH, simulator.SHORT_PREFETCH) == (scheduler.LONG_PREFETCH, scheduler.SHORT_PREFETCH)
    assert simulator.INTERACTIVE_S == segment_task.INTERACTIVE_S


def test_a_short_segment_waits_for_the_segment_in_work_but_not_for_long_ones_in_the_queue(environment):
    _, [gateway] = fleet(environment, 1)
    long = [gateway.transcribe(30.0, is_long=True) for _ in range(5)]
    environment.run(until=1.0)
    short = gateway.transcribe(5.0, is_long=False)

    *of_long, of_short = ends(environment, [*long, short])

    assert of_long[0] == pytest.approx(3.0)
    assert of_short == pytest.approx(3.5)


def test_clients_take_turns(environment):
    _, [gateway] = fleet(environment, 1)
    many = [gateway.transcribe(10.0, is_long=True, client_id="many") for _ in range(6)]
    one = gateway.transcribe(10.0, is_long=True, client_id="one")

    *of_many, of_one = ends(environment, [*many, one])

    assert of_one < of_many[3]


def test_the_segments_of_a_recording_fill_all_replicas(environment):
    replicas, [gateway] = fleet(environment, 4)
    environment.process(gateway.recording([(0.0, 18.0), (0.0, 21.0), (0.0, 20.0)] * 20))
    environment.run()

    assert environment.now == pytest.approx(20 * 59.0 * PACE / 4, rel=0.1)
    assert min(each.worked_audio_s() for each in replicas) > 250


def test_two_gateways_share_the_replicas_equally(environment):
    _, gateways = fleet(environment, 4, gateways=2)
    for gateway in gateways:
        for _ in range(200):
            gateway.transcribe(10.0, is_long=True)
    environment.run(until=50.0)

    assert gateways[0].done_s == pytest.approx(gateways[1].done_s, rel=0.1)


@pytest.mark.parametrize("gateways", [1, 2])
def test_throughput_grows_with_the_replicas(gateways):
    rates = [
        simulated(load, TIMES, engines=count, gateways=gateways, pace=PACE).throughput(load.measured_s)
        for count in (1, 2, 4, 10)
        for load in [MixedLoad.of(count, PACE, measured_s=60.0)]
    ]

    assert rates == [pytest.approx(count / PACE, rel=0.02) for count in (1, 2, 4, 10)]


def test_clips_wait_less_with_more_replicas_for_the_same_load():
    load = MixedLoad(people=24, archives=0, pause_s=5.0, warm_up_s=10.0, measured_s=300.0)
    outcomes = [simulated(load, TIMES, engines=count, gateways=1, pace=PACE) for count in (2, 4, 8)]

    assert all(mean(more.clips_s) < mean(fewer.clips_s) for fewer, more in pairwise(outcomes))


def test_the_same_seed_gives_the_same_figures():
    load = MixedLoad.of(2, PACE, measured_s=30.0)
    one, other = (simulated(load, TIMES, engines=2, gateways=2, pace=PACE) for _ in range(2))

    assert one == other
