"""The realtime group, with a real gateway in front of an engine, and a server that talks as WhisperLiveKit does."""

import json
import sys
from contextlib import ExitStack

from rapl_bench import recordings
from rapl_bench.fleet import SELFTEST, Fleet
from rapl_bench.groups.realtime import tables
from rapl_bench.groups.realtime.contestants import Rapl, engine, whisper_live_kit
from rapl_bench.groups.realtime.figures import measures, with_settled
from rapl_bench.groups.realtime.speaking import Spoken, WhisperLiveKitSession, until_last_sound
from rapl_bench.groups.realtime.tables import AT_ONCE, AT_SOUND, LATER, UPLOAD, Clip
from rapl_bench.real.models import TINY_EN, RealModel
from websockets.asyncio.server import ServerConnection, serve


def clip(duration_s: float) -> Clip:
    return Clip("digits", "en", None, recordings.speech(duration_s).tobytes())


def spoken(**given) -> Spoken:
    usual = {"audio_s": 10.0, "text": "one two three", "first_s": 2.0, "sent_before_end": 0, "after_stop_s": 0.2}
    return Spoken(**{**usual, **given})


async def test_sessions_and_an_upload_hear_the_same_recording(settings, monkeypatch):
    monkeypatch.setenv("RAPL_BENCH_SENSEVOICE_PYTHON", sys.executable)
    with Fleet(settings.scratch) as fleet:
        slowed = fleet.start(engine(sys.executable, ["slowed", fleet.sensevoice().url], fleet.log("slowed")))
        rapl = Rapl(fleet.gateway(slowed, fleet.preprocess()).url, fleet.log("gateway"))
        found = await tables.played(tables.contestants(rapl, SELFTEST), [clip(6.0)])
        lag = await tables.lag(rapl, SELFTEST, clip(3.0), [2])

    figures = tables.figures("digits", SELFTEST, [clip(6.0)], found)
    rows = {row.contestant: row.measures for row in figures.rows}
    assert set(rows) == {AT_SOUND, AT_ONCE, LATER, UPLOAD}
    assert rows[AT_ONCE]["settled"].value > 0
    assert rows[AT_ONCE]["disagreed"].value == 0
    assert "first_update_ms" not in rows[UPLOAD]
    assert [row.case for row in lag.rows] == ["2 at once"]


def test_texts_that_differ_are_listed_with_both():
    pairs = [(clip(3.0), spoken(text="one"), spoken(text=text)) for text in ("one", "One")]

    table = tables.equality(TINY_EN, pairs, "Digits.")

    assert {name: measure.value for name, measure in table.rows[0].measures.items()} == {"equal": 1, "different": 1}
    assert "“one”. file: “One”" in table.notes[-1]


def test_a_recording_ends_at_its_last_sound():
    sound, quiet = clip(2.0).pcm, bytes(16_000)

    assert until_last_sound(sound + quiet) == until_last_sound(sound)
    assert until_last_sound(quiet) == quiet


def test_the_share_of_text_before_the_end_counts_characters_of_all_recordings():
    received = [spoken(text="a" * 30, sent_before_end=30), spoken(text="b" * 10, sent_before_end=0)]

    found = measures(received, ["a", None], [spoken(after_stop_s=0.4)] * 2)

    assert found["sent before the end"].value == 75.0
    assert found["unsettled"].value == 5.0
    assert found["beside the upload"].value == 0.5
    assert "settled" not in found


def test_the_counts_of_a_session_are_the_sums_of_its_turns(tmp_path):
    log = tmp_path / "gateway.log"
    line = "INFO request_id={} turn=item_1 outcome=completed audio_s=3.00 passes=4 settled={} disagreed={}\n"
    log.write_text(line.format("mine", 5, 1) + line.format("other", 9, 9) + line.format("mine", 2, 0))

    found = with_settled(spoken(), "mine", log)

    assert (found.settled, found.disagreed) == (7, 1)


async def test_the_settled_lines_of_whisper_live_kit_are_its_text():
    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        line = {"lines": [{"text": " one"}], "buffer_transcription": " too"}
        await socket.send(json.dumps(line))
        while await socket.recv():
            pass
        await socket.send(json.dumps({"lines": [{"text": " one two"}], "buffer_transcription": ""}))
        await socket.send(json.dumps({"type": "ready_to_stop"}))

    async with serve(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        received = await WhisperLiveKitSession(f"http://127.0.0.1:{port}").listen(bytes(32_000))

    assert received.text == "one two"
    assert received.sent_before_end == len("one")


def test_the_report_says_that_whisper_live_kit_is_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("RAPL_BENCH_WHISPERLIVEKIT_PYTHON", raising=False)

    with ExitStack() as stack:
        listener, note = whisper_live_kit(stack, RealModel(TINY_EN, tmp_path, tmp_path), tmp_path / "log")

    assert listener is None
    assert "was not measured" in note
