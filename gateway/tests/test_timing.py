"""The stages of a request: they divide its time, and the log has them for every kind of request."""

import time

import pytest
from rapl_gateway.timing import Stage, Stopwatch
from rapl_protocol.testing import FakeTranscriber, make_tone
from rapl_service.testing import until

ENGINE_S = 0.2


def test_the_stages_times_add_up_to_the_whole_time():
    stopwatch = Stopwatch()
    with stopwatch.stage(Stage.PREPARE), stopwatch.stage(Stage.INFER), stopwatch.stage(Stage.INFER):
        time.sleep(0.01)
    with stopwatch.stage(Stage.SEND):
        time.sleep(0.01)

    stages_s = stopwatch.stages_s()
    assert sum(stages_s.values()) == pytest.approx(stopwatch.total_s(), rel=0.05)
    assert stages_s.keys() == {Stage.PREPARE, Stage.INFER, Stage.SEND, Stage.GATEWAY}


def test_the_time_in_which_an_engine_works_counts_for_the_engine_only():
    stopwatch = Stopwatch()
    with stopwatch.stage(Stage.INFER), stopwatch.stage(Stage.PREPARE):
        time.sleep(0.01)

    assert stopwatch.stages_s().get(Stage.PREPARE, 0.0) < 0.01
    assert stopwatch.stages_s()[Stage.INFER] >= 0.01


def logged(caplog, path: str) -> dict[str, str]:
    """The fields of the last line about a request to this path."""
    lines = [record.getMessage() for record in caplog.records if f" path={path} " in record.getMessage()]
    return dict(field.split("=", 1) for field in lines[-1].split())


@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize("kind", ["a clip", "a decoded clip", "a recording"])
async def test_the_log_line_has_the_audio_and_stages_that_add_up(start, caplog, kind, stream):
    caplog.set_level("INFO")
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", text="a b c", delay_s=ENGINE_S))
    media = {
        "a clip": make_tone(2.0).to_wav(),
        "a decoded clip": b"CLIP:" + make_tone(2.0).to_wav(),
        "a recording": b"MEDIA:2",
    }

    answer = await fleet.transcribe(media[kind], stream=stream)

    assert answer.status_code == 200, answer.text
    await until(lambda: any("path=/v1/audio/transcriptions" in each.getMessage() for each in caplog.records))
    fields = logged(caplog, "/v1/audio/transcriptions")
    stages_s = {stage: float(fields.get(f"{stage}_s", 0)) for stage in Stage}
    assert fields["audio_s"] == "2.00"
    assert stages_s[Stage.INFER] >= ENGINE_S
    assert sum(stages_s.values()) == pytest.approx(float(fields["took_s"]), rel=0.05)


async def test_an_engine_that_is_faster_than_the_speech_check_has_its_time_in_the_log(start, caplog):
    caplog.set_level("INFO")
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", delay_s=0.05))
    fleet.preprocess.speech_check_s = 0.3

    await fleet.transcribe(with_a_pause())

    fields = logged(caplog, "/v1/audio/transcriptions")
    assert float(fields["infer_s"]) >= 0.05
    assert float(fields["prepare_s"]) >= 0.1


def with_a_pause() -> bytes:
    """A clip that sounds like speech, so that the engine gets it before the speech check has ended."""
    tone, silence = make_tone(0.5), make_tone(0.5, amplitude=0.0)
    return type(tone)(bytes(tone.pcm) + bytes(silence.pcm)).to_wav()
