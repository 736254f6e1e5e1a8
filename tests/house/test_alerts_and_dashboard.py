"""Every query of the dashboard and of the alerts uses metrics and labels that exist."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from house_rules import ROOT
from rapl_service.telemetry.catalog import METRICS

OF_PROMETHEUS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
"""Metrics of Prometheus itself and of its client library."""
OF_EACH_SERIES = {"job", "instance", "le"}
SPECS = {spec.name: spec for spec in METRICS}


def dashboard_queries() -> list[str]:
    board = json.loads((ROOT / "deploy" / "grafana" / "rapl.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def alert_queries() -> list[str]:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())
    return [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


def selectors(query: str) -> Iterator[tuple[str, set[str]]]:
    """The name of each metric in a query, and the labels by which it is selected."""
    for name, matchers in re.findall(r"\b((?:rapl|process)_\w+|up)\b(?:\{([^}]*)\})?", query):
        yield name, set(re.findall(r"(\w+)=?[=~!]", matchers))


@pytest.mark.parametrize("query", [*dashboard_queries(), *alert_queries()])
def test_a_query_uses_metrics_and_labels_that_exist(query: str):
    found = list(selectors(query))

    assert found
    for name, labels in found:
        if name in OF_PROMETHEUS:
            continue
        spec = SPECS.get(name) or SPECS[re.sub(r"_(bucket|sum|count)$", "", name)]
        assert (spec.kind == "histogram") == (name not in SPECS), name
        assert labels <= {*spec.labels, *OF_EACH_SERIES}, name


def test_every_metric_of_rapl_is_in_the_dashboard():
    used = {name for query in dashboard_queries() for name, _ in selectors(query)}

    assert {name for name in SPECS if not any(each.startswith(name) for each in used)} == set()
