"""The frames that a child process reads from its parent."""

import asyncio
import io
from collections.abc import AsyncIterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rapl_mlx.child.pipes import read_frames
from rapl_protocol.frames import Frame, decode_frames, encode_frame

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
headers = st.dictionaries(st.text().filter(lambda key: key != "payload_bytes"), json_values, max_size=4)
frames = st.lists(st.builds(Frame, headers, st.binary(max_size=100)), max_size=5)
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def encoded(frames: list[Frame]) -> bytes:
    return b"".join(encode_frame(frame.header, frame.payload) for frame in frames)


@unhurried
@given(frames)
def test_frames_are_read_as_they_were_sent(sent: list[Frame]):
    assert list(read_frames(io.BytesIO(encoded(sent)))) == sent


@unhurried
@given(frames, st.data())
def test_a_frame_that_is_cut_off_is_dropped_and_those_before_it_are_read(sent: list[Frame], data: st.DataObject):
    stream = encoded(sent)
    end = data.draw(st.integers(0, len(stream)))
    complete = [count for count in range(len(sent) + 1) if len(encoded(sent[:count])) <= end]

    assert list(read_frames(io.BytesIO(stream[:end]))) == sent[: max(complete)]


@unhurried
@given(frames, st.integers(1, 50))
def test_the_parent_reads_the_same_frames_in_chunks_of_any_size(sent: list[Frame], size: int):
    stream = encoded(sent)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(stream), size):
            yield stream[start : start + size]

    async def decoded() -> list[Frame]:
        return [frame async for frame in decode_frames(chunks())]

    assert asyncio.run(decoded()) == sent
