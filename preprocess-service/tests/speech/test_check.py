"""`/v1/speech`: whether a clip holds speech; and the parts that detect it."""

import io
import itertools
from collections.abc import Awaitable, Callable
from importlib.metadata import distribution
from typing import Any

import numpy as np
import onnxruntime
import pytest
from rapl_preprocess.speech.check import check_speech
from rapl_preprocess.speech.quietest_point import quietest_point
from rapl_preprocess.speech.silero import SpeechModel
from rapl_preprocess.speech.silero_network import CONTEXT_SAMPLES, FRAME_SAMPLES, LstmState
from rapl_protocol import segmentation
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.intervals import total_s
from rapl_protocol.prepared import PrepareOptions
from rapl_protocol.testing import make_tone
from rapl_service.calls.call import Http
from rapl_service.calls.clients import PreprocessClient
from rapl_service.testing import reference_cycles

Prepare = Callable[..., Awaitable[Any]]
ON = PrepareOptions()


def mixed(speech_wav: bytes, speech_dbfs: float, noise_dbfs: float, duration_s: float) -> WavAudio:
    """The sample at one level in the middle of white noise at another; dB against full scale (rms)."""
    speech = np.frombuffer(WavAudio.from_wav(speech_wav).pcm, "<i2") / 32_768
    count = round(duration_s * 16_000)
    samples = np.random.default_rng(1).standard_normal(count) * 10 ** (noise_dbfs / 20)
    loudness = 10 ** (speech_dbfs / 20) / np.sqrt(np.mean(speech**2))
    start = max(0, (count - len(speech)) // 2)
    samples[start : start + len(speech)] += loudness * speech[: count - start]
    return WavAudio((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("speech_dbfs", [-20, -45, -120])
async def test_it_agrees_with_preparing_the_clip(
    client: PreprocessClient, prepare: Prepare, speech_wav: bytes, speech_dbfs: float, threshold: float
):
    options = PrepareOptions(vad_threshold=threshold)
    for noise_dbfs, duration_s in itertools.product((-90, -40), (0.4, 5.0, 30.0)):
        clip = mixed(speech_wav, speech_dbfs, noise_dbfs, duration_s)

        check, prepared = await client.speech(clip, options, deadline_s=10), await prepare(clip.to_wav(), options)

        assert bool(check.speech) == bool(prepared.segments)
        assert total_s(check.speech) == pytest.approx(prepared.speech_s)


async def test_the_speech_of_a_clip_lies_where_it_was_spoken(client: PreprocessClient, speech_wav: bytes):
    silence = bytes(3 * 32_000)
    clip = WavAudio(silence + bytes(WavAudio.from_wav(speech_wav).pcm) + silence)

    check = await client.speech(clip, deadline_s=10)

    assert 3.0 <= check.speech[0].start_s < 4.0
    assert clip.duration_s - 4.0 < check.speech[-1].end_s <= clip.duration_s - 2.9
    assert all(before.end_s < after.start_s for before, after in itertools.pairwise(check.speech))


async def test_speech_is_distinguished_from_silence_and_a_tone(client: PreprocessClient, speech_wav: bytes):
    spoken = await client.speech(WavAudio.from_wav(speech_wav), deadline_s=10)
    silent = await client.speech(WavAudio(bytes(160_000)), deadline_s=10)
    tone = await client.speech(make_tone(5), deadline_s=10)

    assert total_s(spoken.speech) > 1.0
    assert silent.speech == tone.speech == ()


async def test_no_samples_hold_no_speech(client: PreprocessClient):
    check = await client.speech(WavAudio(b""), deadline_s=10)

    assert check.speech == ()


@pytest.mark.parametrize("duration_s", [30.001, 31, 100])
async def test_more_than_thirty_seconds_are_413(client: PreprocessClient, duration_s: float):
    with pytest.raises(ServiceError) as caught:
        await client.speech(WavAudio(bytes(round(duration_s * 16_000) * 2)), deadline_s=10)

    assert caught.value.code is ErrorCode.AUDIO_TOO_LARGE


@pytest.mark.parametrize("media", [b"", b"RIFF", bytes(32_000), b"fLaC" + bytes(1000)])
async def test_a_body_that_is_not_a_canonical_wav_is_400(http: Http, url: str, media: bytes):
    async with http.streams.post(f"{url}/v1/speech", data=io.BytesIO(media)) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["code"] == "audio_undecodable"


async def test_a_check_with_detection_switched_off_is_400(client: PreprocessClient):
    with pytest.raises(ServiceError) as caught:
        await client.speech(make_tone(1), PrepareOptions(speech_detection="off"), deadline_s=10)

    assert (caught.value.code, caught.value.param) == (ErrorCode.INVALID_REQUEST, "speech_detection")


@pytest.mark.parametrize("block_frames", [1, 7, 32])
def test_the_network_gives_the_probabilities_that_onnxruntime_gives_for_its_graph(speech_wav: bytes, block_frames: int):
    path = str(distribution("silero-vad").locate_file("silero_vad/data/silero_vad_16k_sequence.onnx"))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    samples = np.frombuffer(mixed(speech_wav, -25, -50, 20.0).pcm, "<i2").astype(np.float32) / 32_768
    samples = np.concatenate((np.zeros(CONTEXT_SAMPLES, np.float32), samples))
    starts = range(0, len(samples) - FRAME_SAMPLES - CONTEXT_SAMPLES, FRAME_SAMPLES)
    frames = np.stack([samples[at : at + FRAME_SAMPLES + CONTEXT_SAMPLES] for at in starts])
    blank = np.zeros((1, 1, 128), np.float32)
    expected = session.run(["speech_probs"], {"input": frames, "h": blank, "c": blank})[0].ravel()

    network = SpeechModel.load().network
    memory = LstmState()
    blocks = [frames[at : at + block_frames] for at in range(0, len(frames), block_frames)]
    probabilities = np.concatenate([network.probabilities(block, memory) for block in blocks])

    assert expected.max() > 0.9
    assert expected.min() < 0.05
    assert probabilities == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("samples", [1_600, 1_919, 80_000])
@pytest.mark.parametrize("loudness", [0, 3, 3_000, 40_000])
def test_the_quietest_point_is_the_one_that_the_protocol_finds(samples: int, loudness: int):
    for seed in range(10):
        noise = np.random.default_rng(seed).normal(0, 1, samples) * loudness
        noise[seed * 1_000 : seed * 1_000 + 1_600] *= 0.1
        pcm = np.clip(noise, -32_768, 32_767).astype("<i2").tobytes()

        assert quietest_point(pcm) == segmentation.quietest_point(pcm)


def test_checked_audio_is_freed_without_the_garbage_collector(speech_wav: bytes):
    model = SpeechModel.load()
    with reference_cycles() as rings:
        assert check_speech(speech_wav, model, PrepareOptions()).speech

    assert rings == set()
