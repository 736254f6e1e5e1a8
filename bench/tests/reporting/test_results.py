"""Figures are computed, formatted, plotted and published."""

import json
from dataclasses import replace

import pytest
from rapl_bench.reporting.publish import BEGIN, END, publish
from rapl_bench.reporting.report import Report, markdown, write
from rapl_bench.reporting.results import Column, Measure, Row, Table, quantile
from rapl_bench.rounds import interleaved

TABLE = Table(
    name="clips",
    title="Clips",
    columns=(Column("p50", "ms", 1), Column("beside")),
    rows=(
        Row("5 s", "ours", {"p50": Measure.of([3.0, 1.0, 2.0]), "beside": Measure(0.5)}),
        Row("5 s", "theirs", {"p50": Measure(4000.0)}),
        Row("30 s", "ours", {"p50": Measure(7.0)}),
    ),
    plotted="p50",
    notes=("A note.",),
    settings={"rounds": "3"},
)


def report(**changes) -> Report:
    facts = {"made": "today", "machine": {"cores": "2"}, "software": {"RAPL": "abc"}, "quick": False, "tables": [TABLE]}
    return Report(**facts | changes)


def test_a_measure_of_rounds_is_the_median_with_the_range():
    assert Measure.of([5.0, 1.0, 2.0]) == Measure(2.0, 1.0, 5.0)


@pytest.mark.parametrize(("fraction", "expected"), [(0.5, 51), (0.99, 100), (0.0, 1), (1.0, 100)])
def test_a_quantile_is_a_measured_value(fraction, expected):
    assert quantile(range(1, 101), fraction) == expected


def test_a_row_has_units_ranges_and_gaps():
    lines = markdown(report()).splitlines()

    assert "| | | p50 (ms) | beside |" in lines
    assert "| 5 s | ours | 2.0 (1.0 to 3.0) | 0.50 |" in lines
    assert "| 5 s | theirs | 4,000.0 |  |" in lines


def test_the_report_has_machine_software_and_settings():
    text = markdown(report())

    assert "| cores | 2 |" in text
    assert "| RAPL | abc |" in text
    assert "Measured with: rounds 3." in text


def test_a_quick_run_says_so():
    assert "quick run" in markdown(report(quick=True))
    assert "quick run" not in markdown(report())


def test_a_failed_group_is_reported_with_its_reason():
    assert "**long was not measured:** no engine" in markdown(report(failures={"long": "no engine"}))


def test_every_table_has_a_plot_beside_the_report(tmp_path):
    write(report(), tmp_path)

    assert (tmp_path / "clips.png").read_bytes().startswith(b"\x89PNG")
    assert "![Clips](clips.png)" in (tmp_path / "report.md").read_text()


def test_a_percentile_of_all_rounds_may_lie_outside_of_the_range_of_the_rounds(tmp_path):
    beyond = (Row("5 s", "ours", {"p50": Measure(3.0, low=1.0, high=2.0)}),)
    write(report(tables=[replace(TABLE, rows=beyond)]), tmp_path)

    assert "| 5 s | ours | 3.0 (1.0 to 2.0) |" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "clips.png").exists()


def test_the_figures_are_also_written_as_json(tmp_path):
    write(report(), tmp_path)

    [table] = json.loads((tmp_path / "results.json").read_text())["tables"]
    assert table["rows"][0]["measures"]["p50"] == {"value": 2.0, "low": 1.0, "high": 3.0}


def test_a_published_run_is_copied_to_latest_and_its_headlines_are_in_the_readme(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nan older table\n{END}\nafter\n")
    shown = report(machine={"processor": "a CPU", "cores": "2"})
    write(shown, tmp_path / "run")

    publish(shown, tmp_path / "run", tmp_path, readme)

    assert (tmp_path / "latest" / "report.md").exists()
    text = readme.read_text()
    assert "| Clips: 5 s | p50, ms | ours 2.0; theirs 4,000.0 |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "an older table" not in text


def test_rounds_are_interleaved_and_each_contestant_is_first_once():
    order: list[str] = []
    contestants = {name: lambda name=name: order.append(name) for name in "abc"}

    results = interleaved(contestants, 3)

    assert "".join(order) == "abcbcacab"
    assert {name: len(its) for name, its in results.items()} == {"a": 3, "b": 3, "c": 3}
