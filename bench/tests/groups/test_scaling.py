"""The groups about more replicas, with real services, engines whose time is known, and small counts."""

import pytest
from rapl_bench.groups import advised, replicas, scaling
from rapl_bench.groups.registry import measurement
from rapl_bench.scaling.advised import changing_load

PACE = 0.01


async def test_replicas_and_gateways_share_mixed_load_and_lose_nothing(settings):
    plan = replicas.Plan(PACE, measured_s=2.0, rounds=1, cases=(replicas.Case(2, 2),))
    found = await replicas.pairs(settings, plan)

    [[pair]] = found.values()
    assert pair.measured.failures == []
    assert min(pair.measured.worked_s) > 0
    assert min(pair.measured.by_gateway_s) > 0
    [measured, simulated] = replicas.table(found, plan).rows
    assert "smaller gateway" in measured.measures
    assert simulated.measures["throughput"].value == pytest.approx(2 / PACE, rel=0.1)


async def test_the_scaling_group_has_the_costs_of_a_gateway_and_the_simulated_figures(settings):
    tables = {table.name: table for table in await measurement("scaling")(settings)}

    of_gateway = {(row.case, row.contestant): row.measures["CPU time"].value for row in tables["scaling-gateway"].rows}
    assert of_gateway["a clip of 5 s", "gateway"] > 0
    assert of_gateway["a minute of a recording (m4a)", "preprocess-service"] > 0
    for row in tables["scaling-fleets"].rows:
        assert row.measures["beside the engines alone"].value == pytest.approx(1.0, abs=0.05)
    assert len(tables["scaling-autoscaler"].rows) == 2
    assert {line.panel for line in tables["scaling-day"].lines} == {"replicas", "seconds"}
    assert scaling.RULES[0].settings == scaling.RULE


async def test_engines_are_started_and_stopped_as_the_simulator_advises(settings, monkeypatch):
    monkeypatch.setattr(advised, "QUICK_LENGTH_S", 8.0)
    [table] = await measurement("advised")(settings)

    measured, simulated = (row.measures for row in table.rows)
    assert measured["failed"].value == 0
    assert measured["clips"].value == pytest.approx(simulated["clips"].value, rel=0.5)
    [engines] = [line for line in table.lines if line.name == "engines"]
    assert max(engines.y) > min(engines.y)


def test_the_changing_load_has_more_clips_when_it_is_busier():
    load = changing_load(900.0, 0.1)
    at_s = [at_s for person in range(load.people) for at_s, _ in load.dictations(person)]
    fifths = [sum(fifth <= each / 180 < fifth + 1 for each in at_s) for fifth in range(5)]

    assert fifths[2] > fifths[1] > fifths[3] > fifths[0]
