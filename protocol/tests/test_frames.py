from collections.abc import AsyncIterator

import pytest
from rapl_protocol.frames import Frame, decode_frames, decode_single_frame, encode_frame


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


STREAM = encode_frame({"type": "a"}) + encode_frame({"type": "b", "start_s": 1.5}, b"one\n", b"two") + encode_frame({})


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
async def test_frames_are_read_however_they_are_cut_in_transit(size: int):
    frames = [frame async for frame in decode_frames(pieces(STREAM, size))]

    assert frames == [Frame({"type": "a"}), Frame({"type": "b", "start_s": 1.5}, b"one\ntwo"), Frame({})]


@pytest.mark.parametrize("missing", [1, 4, 12])
async def test_frames_that_end_early_are_an_error_and_not_a_short_answer(missing: int):
    cut = encode_frame({"type": "segment"}, b"12345678")[:-missing]

    with pytest.raises(ValueError, match="end in the middle"):
        [frame async for frame in decode_frames(pieces(cut, 5))]


async def test_a_header_that_is_no_object_is_an_error():
    with pytest.raises(ValueError, match="not a JSON object"):
        [frame async for frame in decode_frames(pieces(b"[1]\n", 100))]


@pytest.mark.parametrize("size", [b'"many"', b"-1", b"1.5", b"[1]"])
async def test_a_size_that_is_no_number_of_bytes_is_an_error(size: bytes):
    with pytest.raises(ValueError, match="not a number of bytes"):
        [frame async for frame in decode_frames(pieces(b'{"payload_bytes": ' + size + b"}\n", 100))]


def test_a_header_that_is_nested_without_end_is_an_error():
    with pytest.raises(ValueError, match="recursion"):
        decode_single_frame(b'{"model": ' + b"[" * 5_000 + b"\n")


def test_a_single_frame_takes_the_rest_as_its_payload_so_that_curl_can_write_it():
    frame = decode_single_frame(b'{"model": "m"}\nRIFF\n...')

    assert frame.header == {"model": "m"}
    assert bytes(frame.payload) == b"RIFF\n..."


def test_a_body_without_a_header_line_is_an_error():
    with pytest.raises(ValueError, match="line of JSON"):
        decode_single_frame(b"RIFF....")
