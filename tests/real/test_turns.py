"""The turns of live audio contain the speech that is found in the same recordings as files, also of quiet speakers."""

import numpy as np
import pytest
from rapl_bench.real.recordings import RealRecordings
from rapl_preprocess.live.detection import step
from rapl_preprocess.live.stream import LiveStream
from rapl_preprocess.speech.check import check_speech
from rapl_preprocess.speech.silero import SpeechModel
from rapl_protocol.audio import SAMPLE_RATE_HZ, WavAudio
from rapl_protocol.intervals import Interval, Intervals, total_s
from rapl_protocol.live_audio import LiveOptions, SpeechStarted, SpeechStopped, TurnDetection
from rapl_protocol.prepared import MAX_SEGMENT_S, PrepareOptions

pytestmark = pytest.mark.real

OPTIONS = LiveOptions(rate_hz=SAMPLE_RATE_HZ, detection=TurnDetection())
PIECE_BYTES = 640


def turns_of(model: SpeechModel, pcm: bytes) -> Intervals:
    stream, turns, started_s = LiveStream(OPTIONS), list[Interval](), None
    for at in range(0, len(pcm), PIECE_BYTES):
        for output in step(model.network, [(stream, pcm[at : at + PIECE_BYTES])])[0]:
            match output:
                case SpeechStarted():
                    started_s = output.at_sample / SAMPLE_RATE_HZ
                case SpeechStopped():
                    assert started_s is not None
                    turns.append(Interval(started_s, output.at_sample / SAMPLE_RATE_HZ))
                    started_s = None
                case _:
                    pass
    return (*turns, Interval(started_s, len(pcm) / 2 / SAMPLE_RATE_HZ)) if started_s is not None else tuple(turns)


def within_s(speech: Intervals, turns: Intervals) -> float:
    """Seconds of the speech that are in a turn."""
    return sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a in speech for b in turns)


@pytest.mark.parametrize("gain", [1.0, 0.03])
def test_nearly_all_speech_of_files_is_in_a_turn_of_live_audio(recordings: RealRecordings, gain: float):
    model = SpeechModel.load()
    speech_s = found_s = 0.0
    for recording in recordings.clips():
        samples = np.rint(recording.pcm()[: int(MAX_SEGMENT_S * SAMPLE_RATE_HZ)] * gain).astype("<i2")
        pcm = samples.tobytes()
        speech = check_speech(WavAudio(pcm).to_wav(), model, PrepareOptions()).speech
        speech_s += total_s(speech)
        found_s += within_s(speech, turns_of(model, pcm))

    assert speech_s > 60
    assert found_s > 0.99 * speech_s
