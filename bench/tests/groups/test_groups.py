"""Complete groups with the real services and small counts."""

import subprocess
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from rapl_bench import recordings
from rapl_bench.fleet import Fleet
from rapl_bench.groups import dictation, gateway, telemetry
from rapl_bench.groups import registry as groups
from rapl_bench.groups.gateway import DIRECT, RAPL, RAPL_UNCHECKED, Case, Plan
from rapl_bench.groups.preprocess import THROUGH_GATEWAY
from rapl_bench.groups.registry import GROUPS, GroupUnavailable, measurement
from rapl_bench.recordings import Recording
from rapl_bench.streamed import words_right
from rapl_bench.stub_engine import MODEL as STUB_MODEL
from rapl_cli.__main__ import main
from rapl_cli.commands.bench import NEEDED
from rapl_cli.fleet.environments import Environment

TINY = Plan(2, (Case("5 s", 5, 2, count=4),), (Case("5 s", 5, 2, for_s=0.01),))


def test_the_gateway_group_measures_every_contestant_that_is_installed(settings, monkeypatch):
    monkeypatch.delenv("RAPL_BENCH_LITELLM_PYTHON", raising=False)

    latency, throughput = gateway.tables(settings, TINY)

    for table in (latency, throughput):
        assert {DIRECT, RAPL, RAPL_UNCHECKED} <= {row.contestant for row in table.rows}
    assert any("LiteLLM was not measured" in note for note in latency.notes)


async def test_the_preprocess_group_compares_every_contestant_with_bare_libav(settings):
    [table] = await measurement("preprocess")(settings)

    bare = [row for row in table.rows if row.contestant == "bare libav, in process"]
    assert {row.measures["beside bare libav"].value for row in bare} == {1.0}
    assert len(table.rows) > 2 * len(bare)
    assert {row.case for row in bare} == {row.case for row in table.rows if row.contestant == THROUGH_GATEWAY}


async def test_the_telemetry_group_compares_metrics_and_traces_with_neither(settings):
    [table] = await measurement("telemetry")(settings)

    rows = {row.contestant: row.measures for row in table.rows}
    assert rows.keys() == {telemetry.OFF, telemetry.METRICS, telemetry.SAMPLED, telemetry.OFF_AGAIN}
    assert rows[telemetry.OFF]["CPU time beside neither"].value == 1.0
    assert all(measures["requests"].value > 0 for measures in rows.values())


async def test_a_dictation_is_compared_with_the_engine_alone(settings):
    with Fleet(settings.scratch) as fleet:
        table = await dictation.table(fleet, fleet.stub(), STUB_MODEL, 1)

    assert [row.contestant for row in table.rows] == [dictation.ENGINE, dictation.RAPL] * len(dictation.CASES)


def test_a_group_without_its_module_names_the_module(monkeypatch):
    monkeypatch.setitem(groups.GROUPS, "nowhere", "a group without a module")

    with pytest.raises(GroupUnavailable, match=r"rapl_bench\.groups\.nowhere is missing"):
        measurement("nowhere")


def test_the_command_line_has_the_same_groups():
    assert list(NEEDED) == list(GROUPS)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that `rapl bench` starts; none of them runs, and no environment is made."""
    started: list[list[str]] = []

    def start(command: list[str], **_: object) -> nullcontext[SimpleNamespace]:
        started.append(command)
        return nullcontext(SimpleNamespace(wait=lambda: 0))

    monkeypatch.setattr(Environment, "ensure", lambda self: tmp_path / self.name)
    monkeypatch.setattr("rapl_cli.commands.bench.subprocess.Popen", start)
    return started


@pytest.mark.parametrize("group", ["advised", "realtime", "speakers", "real"])
def test_a_group_with_large_downloads_or_of_a_quarter_of_an_hour_runs_only_if_it_is_named(commands, group):
    assert main(["bench"]) == main(["bench", group]) == 0
    unnamed, named = commands
    assert group not in unnamed
    assert set(GROUPS) - {"advised", "realtime", "speakers", "real"} < set(unnamed)
    assert named[1:4] == ["-m", "rapl_bench", group]


def test_the_former_name_of_a_group_runs_it_under_its_new_name(commands):
    assert main(["bench", "lanes"]) == 0
    [command] = commands
    assert command[1:4] == ["-m", "rapl_bench", "fairness"]


def test_every_sensevoice_runtime_can_be_imported_in_its_environment():
    python = NEEDED["sensevoice"]["RAPL_BENCH_FUNASR_PYTHON"].ensure()

    subprocess.run([python, "-c", "import funasr, openvino, rapl_sensevoice, sentencepiece, torch"], check=True)


@pytest.mark.parametrize("group", ["sensevoice", "long", "fairness", "realtime", "speakers", "real", "keywords"])
async def test_a_group_without_its_environment_is_unavailable(settings, monkeypatch, group):
    monkeypatch.delenv("RAPL_BENCH_FUNASR_PYTHON", raising=False)
    monkeypatch.delenv("RAPL_BENCH_SENSEVOICE_PYTHON", raising=False)
    monkeypatch.delenv("RAPL_BENCH_REAL_PYTHON", raising=False)

    with pytest.raises(GroupUnavailable, match="could not be made"):
        await measurement(group)(settings)


def test_a_repeated_recording_has_a_multiple_of_the_duration(settings):
    once = recordings.long_recording(10, settings.cache)
    thrice = recordings.repeated(once, 3)

    with av.open(str(thrice.file)) as container:
        assert container.duration is not None
        assert container.duration / 1e6 == pytest.approx(3 * once.duration_s, abs=0.3)
    assert thrice.utterances == 3 * once.utterances


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("3 1 4 1 5 9. 3 1 4 1 5 9.", 1.0),
        ("3 1 4 1 5 9.", 0.5),
        ("3 1 4 1 5 8. 3 1 4 1 5 9.", 11 / 12),
        ("", 0.0),
    ],
)
def test_words_count_as_right_if_they_are_in_order(tmp_path, text, share):
    assert words_right(text, Recording(tmp_path, 10.0, 2)) == pytest.approx(share)


def test_the_command_refuses_an_unknown_group_and_lists_the_groups(capsys):
    assert main(["bench", "nowhere"]) == 2
    assert ", ".join(GROUPS) in capsys.readouterr().err
