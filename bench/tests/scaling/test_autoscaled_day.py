"""A synthetic day in simulated time: people who dictate, an archive at night, and the autoscaler between them."""

import math
import random

import pytest
from rapl_bench.scaling.autoscaler import Autoscaler, AutoscalerSettings
from rapl_bench.scaling.people import NEXT_WITHIN, Day, mean_pause_s, pause_s
from rapl_bench.scaling.simulated_day import DayOutcome, simulated_day

PACE = 0.2
DAY = Day(people=300, archive_hours=60, seed=7)
RULE = AutoscalerSettings()
WINDOW_S = 300.0


@pytest.fixture(scope="module")
def outcome() -> DayOutcome:
    return simulated_day(DAY, RULE, pace=PACE)


def test_the_pauses_between_dictations_are_those_that_were_published():
    source = random.Random(0)
    pauses_s = [pause_s(source) for _ in range(40_000)]

    for within_s, part in NEXT_WITHIN:
        assert sum(each < within_s for each in pauses_s) / len(pauses_s) == pytest.approx(part, abs=0.01)
    assert sum(pauses_s) / len(pauses_s) == pytest.approx(mean_pause_s(), rel=0.03)


def test_every_dictation_and_every_recording_gets_its_text(outcome):
    sent = sum(1 for person in range(DAY.people) for _ in DAY.dictations(person))

    assert len(outcome.clips) == sent
    assert DAY.archive_begins_s < outcome.archive_ended_s < DAY.length_s


def test_two_polls_after_people_need_more_replicas_there_are_as_many(outcome):
    back = round(WINDOW_S / RULE.poll_s)
    by_day = [poll for poll in outcome.polls if poll.at_s < DAY.archive_begins_s]
    for before, now, later in zip(by_day, by_day[back:], by_day[back + 2 :], strict=False):
        needed = math.ceil((now.arrived_s - before.arrived_s) / WINDOW_S * PACE)
        assert later.replicas >= needed, f"at {later.at_s} s"


def test_two_polls_after_the_archive_began_every_recording_has_a_replica(outcome):
    at_s = DAY.archive_begins_s + 2 * RULE.poll_s
    [replicas] = [poll.replicas for poll in outcome.polls if poll.at_s == at_s]

    assert replicas >= DAY.archive_clients


def test_the_number_of_replicas_follows_the_day_and_does_not_flap(outcome):
    quiet = [poll.replicas for poll in outcome.polls if poll.at_s < DAY.starts_s]
    counts = {poll.replicas for poll in outcome.polls}

    assert set(quiet) == {RULE.least}
    assert outcome.polls[-1].replicas == RULE.least
    assert max(counts) > 4 * RULE.least
    assert outcome.flaps(within_s=600) == 0


def test_without_an_average_and_a_calm_time_it_flaps(outcome):
    hasty = AutoscalerSettings(average_s=RULE.poll_s, calm_s=RULE.poll_s)

    assert simulated_day(DAY, hasty, pace=PACE).flaps(within_s=600) > 20


def test_a_difference_within_the_tolerance_changes_nothing():
    autoscaler = Autoscaler(AutoscalerSettings(least=10, average_s=1.0), replicas=10)

    assert autoscaler.poll(0.0, 54.0) == 10
    assert autoscaler.poll(30.0, 56.0) == 12
