"""What holds for any input: frames, WAV files, segments, joined texts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapl_protocol.audio import SAMPLE_RATE_HZ, WavAudio
from rapl_protocol.frames import Frame, decode_frames, encode_frame
from rapl_protocol.segmentation import Segmenter
from rapl_protocol.transcript import join_texts

json_values = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20)
)
headers = st.dictionaries(st.text(max_size=8).filter(lambda name: name != "payload_bytes"), json_values, max_size=4)
frames = st.lists(st.builds(Frame, headers, st.binary(max_size=40)), max_size=4)


async def chunks(data: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    ends = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for start, end in pairwise(ends):
        yield data[start:end]


def decoded(data: bytes, cuts: list[int]) -> list[Frame]:
    async def read() -> list[Frame]:
        return [frame async for frame in decode_frames(chunks(data, cuts))]

    return asyncio.run(read())


@given(frames, st.lists(st.integers(0, 400), max_size=12))
def test_frames_are_the_same_wherever_the_stream_is_cut_into_chunks(sent: list[Frame], cuts: list[int]):
    stream = b"".join(encode_frame(frame.header, frame.payload) for frame in sent)

    assert decoded(stream, cuts) == sent


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_any_other_bytes_are_frames_or_a_value_error(data: bytes, cuts: list[int]):
    with suppress(ValueError):
        decoded(data, cuts)


@given(st.binary(max_size=200))
def test_samples_survive_a_wav_file(samples: bytes):
    pcm = samples[: len(samples) // 2 * 2]

    assert bytes(WavAudio.from_wav(WavAudio(pcm).to_wav()).pcm) == pcm


def wav_or_value_error(data: bytes) -> None:
    try:
        audio = WavAudio.from_wav(data)
    except ValueError:
        return
    assert len(audio.pcm) % 2 == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_audio_or_a_value_error(data: bytes):
    wav_or_value_error(data)
    wav_or_value_error(b"RIFF\0\0\0\0WAVE" + data)


@given(st.binary(min_size=2, max_size=60), st.integers(0, 50), st.binary(min_size=1, max_size=8))
def test_a_damaged_wav_file_is_audio_or_a_value_error(samples: bytes, at: int, damage: bytes):
    wav = WavAudio(samples[: len(samples) // 2 * 2]).to_wav()

    wav_or_value_error(wav[:at] + damage + wav[at + len(damage) :])
    wav_or_value_error(wav[:at])


@given(
    st.binary(max_size=SAMPLE_RATE_HZ // 2),
    st.lists(st.integers(1, 4_000), min_size=1, max_size=8),
)
def test_segments_lie_end_to_end_and_hold_every_sample_once(samples: bytes, sizes: list[int]):
    pcm = samples[: len(samples) // 2 * 2]
    # The limits are scaled to what hypothesis makes: segments of 0.15 s, cut in their last 0.1 s.
    segmenter = Segmenter(longest_s=0.15, search_s=0.1)
    segments, at, turn = [], 0, 0
    while at < len(pcm):
        size = 2 * sizes[turn % len(sizes)]
        segments += segmenter.feed(pcm[at : at + size])
        at, turn = at + size, turn + 1
    segments += segmenter.finish()

    assert b"".join(bytes(segment.audio.pcm) for segment in segments) == pcm
    assert [segment.end_s for segment in segments[:-1]] == [segment.start_s for segment in segments[1:]]
    assert all(0 < segment.audio.duration_s <= 0.15 for segment in segments)
    assert segmenter.duration_s == pytest.approx(len(pcm) / 2 / SAMPLE_RATE_HZ)


@given(st.lists(st.text(max_size=12), max_size=6))
def test_joined_texts_have_every_character_in_order_and_at_most_one_space_between_two(texts: list[str]):
    joined = join_texts(texts)

    assert "".join(joined.split()) == "".join("".join(texts).split())
    assert joined == joined.strip()
    assert len(joined) <= sum(len(text.strip()) for text in texts) + max(0, len(texts) - 1)
