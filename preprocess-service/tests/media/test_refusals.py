"""An upload that is not audio gets 400 with a reason, and opens no other file or address."""

import asyncio
import io
import os
import random
import socket
import struct
import zipfile
from pathlib import Path

import pytest
from rapl_protocol.testing import make_tone
from rapl_service.calls.call import Http

PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n" * 50
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00" + bytes(100)


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("clip.wav", make_tone(0.5).to_wav())
    return file.getvalue()


NOT_AUDIO = {
    "text": b"three one four\n" * 100,
    "html": b"<!doctype html><html><body>413 Request Entity Too Large</body></html>",
    "json": b'{"error": {"message": "not found"}}',
    "zip": zipped(),
    "pdf": PDF,
    "png": PNG,
    "one byte": b"R",
    "1,024 zero bytes": bytes(1024),
    "a megabyte of zero bytes": bytes(1 << 20),
    "a WAV header only": make_tone(0).to_wav(),
    "half a WAV header": make_tone(1).to_wav()[:30],
    "an ID3 tag only": b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10),
    "subtitles": b"1\n00:00:00,000 --> 00:00:02,000\nHello\n\n" * 20,
}


async def refusal(http: Http, url: str, media: bytes) -> dict:
    async with http.streams.post(f"{url}/v1/prepare", data=io.BytesIO(media)) as answer:
        body = await answer.json()
        assert answer.status == 400, body
    error = body["error"]
    assert (error["code"], error["param"], error["type"]) == ("audio_undecodable", "file", "invalid_request_error")
    return error


@pytest.mark.parametrize("media", NOT_AUDIO.values(), ids=NOT_AUDIO.keys())
async def test_a_file_that_is_not_audio_is_a_400_that_a_person_understands(http: Http, url: str, media: bytes):
    error = await refusal(http, url, media)

    assert error["message"].startswith("The ")
    assert "Errno" not in error["message"]


@pytest.mark.parametrize("size_bytes", [100, 4_000, 300_000])
@pytest.mark.parametrize("start", [b"", b"ID3\x03\x00\x00\x00\x00\x00\x00", b"\xff\xfb\x90\x00", b"OggS\x00\x02"])
async def test_random_bytes_are_a_400(http: Http, url: str, size_bytes: int, start: bytes):
    for seed in range(8):
        await refusal(http, url, start + random.Random(seed).randbytes(size_bytes))


async def test_an_empty_body_is_a_400_that_says_so(http: Http, url: str):
    assert (await refusal(http, url, b""))["message"] == "The uploaded file is empty."


async def test_a_video_without_sound_is_a_400_that_says_so(http: Http, url: str, silent_video: bytes):
    assert (await refusal(http, url, silent_video))["message"] == "The file has no audio track."


@pytest.mark.parametrize("channels", [65, 255])
async def test_more_channels_than_can_be_mixed_are_a_400_that_says_so(
    http: Http, url: str, channels: int, wav_of_channels
):
    assert f"{channels} channels" in (await refusal(http, url, wav_of_channels(channels)))["message"]


@pytest.mark.parametrize("rate_hz", [1, 1_644_215_168])
async def test_a_sample_rate_that_no_recording_has_is_a_400_at_once(http: Http, url: str, rate_hz: int):
    media = bytearray(make_tone(1).to_wav())
    struct.pack_into("<I", media, 24, rate_hz)

    async with asyncio.timeout(3):
        assert f"{rate_hz} Hz" in (await refusal(http, url, bytes(media)))["message"]


PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile {target}\n",
    "concat with options": "ffconcat version 1.0\nfile '{target}'\noption safe 0\nduration 5\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period><AdaptationSet mimeType="audio/mp4"><Representation>'
    "<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "m3u": "#EXTM3U\n{target}\n",
    "pls": "[playlist]\nFile1={target}\nNumberOfEntries=1\n",
    "asx": '<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\na=control:{target}\nm=audio 5 RTP/AVP 0\n",
    "rtsp reference": "rtsptext\n{target}\n",
}


@pytest.mark.parametrize("script", PLAYLISTS.values(), ids=PLAYLISTS.keys())
@pytest.mark.parametrize("scheme", ["", "file://", "file:"])
async def test_a_playlist_opens_no_file(http: Http, url: str, tmp_path: Path, script: str, scheme: str):
    pipe = tmp_path / "clip.wav"
    os.mkfifo(pipe)

    await refusal(http, url, script.format(target=f"{scheme}{pipe}").encode())

    # A non-blocking writer of a pipe gets an error if no process has opened the pipe for reading.
    with pytest.raises(OSError, match=r"No such device or address|Device not configured"):
        os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)


@pytest.mark.parametrize("script", PLAYLISTS.values(), ids=PLAYLISTS.keys())
async def test_a_playlist_reaches_no_network(http: Http, url: str, script: str):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        await refusal(http, url, script.format(target=f"http://127.0.0.1:{listener.getsockname()[1]}/a.wav").encode())

        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_a_playlist_of_a_real_clip_does_not_play_it(http: Http, url: str, tmp_path: Path):
    (tmp_path / "clip.wav").write_bytes(make_tone(1).to_wav())

    for script in PLAYLISTS.values():
        await refusal(http, url, script.format(target=tmp_path / "clip.wav").encode())
