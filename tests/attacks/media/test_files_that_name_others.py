"""Nothing inside an upload opens another file or a network address."""

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from media_boxes import box, element, full_box, mkv, mkv_track, mp4, mp4_track

Refusal = Callable[..., dict]

TEXTS = {
    "m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
    "m3u8 with a key": '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:1,\na.ts\n',
    "m3u8 with a map": '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI="{target}"\n#EXTINF:1,\n{target}\n',
    "m3u8 behind a byte order mark": "\ufeff#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n",
    "m3u8 of m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n"
    '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",URI="{target}"\n',
    "concat": "ffconcat version 1.0\nfile '{target}'\noption safe 0\nduration 5\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period><AdaptationSet mimeType="audio/mp4"><Representation>'
    "<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "imf": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">'
    "<Id>urn:uuid:0</Id><Path>{target}</Path></CompositionPlaylist>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\na=control:{target}\nm=audio 5 RTP/AVP 0\n",
    "pls": "[playlist]\nFile1={target}\nNumberOfEntries=1\n",
    "asx": '<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
    "smil": '<smil><body><audio src="{target}"/></body></smil>',
    "rtsp reference": "rtsptext\n{target}\n",
    "a path by itself": "{target}",
    "image sequence": "{target}%03d.png\n" * 20,
    "subtitles with a path": "[Script Info]\nAudio File: {target}\n[Events]\n"
    "Dialogue: 0,0:00:00.00,0:00:02.00,,,,,,,{target}\n",
    "vobsub": "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\nlangidx: {target}\n",
}
SCHEMES = ["", "file:", "concat:", "subfile,,start,0,end,0,,:", "crypto:", "cache:", "data:audio/wav;base64,", "pipe:"]


def referring_mp4(target: str) -> bytes:
    """A QuickTime file whose samples lie in another file."""
    record = struct.pack(">H", 2) + os.fsencode(target) + b"\0\0"
    alias = bytes(4) + struct.pack(">HHH", len(target) + 150, 2, 0) + bytes(144) + record + b"\xff\xff\0\0"
    return mp4(mp4_track(data_reference=full_box(b"alis", alias)))


def redirecting_mp4(target: str) -> bytes:
    """A QuickTime file that contains only the address of another file."""
    address = box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(target) + 1), target.encode() + b"\0")
    return box(b"ftyp", b"qt  ", bytes(4)) + box(b"moov", box(b"rmra", box(b"rmda", address)))


def linked_mkv(target: str) -> bytes:
    """A Matroska file whose chapters and attachments name other files."""
    attached = element(0x61A7, element(0x466E, target.encode()), element(0x4660, b"text/plain"), element(0x465C, b"x"))
    linked = element(0x1941A469, attached) + element(0x1549A966, element(0x3C83AB, target.encode()))
    return mkv([mkv_track(1)], clusters=linked)


FILES = {"mp4 with a reference": referring_mp4, "mp4 with a redirection": redirecting_mp4, "mkv with links": linked_mkv}
ATTACKS: dict[str, Callable[[str], bytes]] = {
    **{name: lambda target, text=text: text.replace("{target}", target).encode() for name, text in TEXTS.items()},
    **FILES,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_opens_no_local_file(refusal: Refusal, tmp_path: Path, attack: str):
    pipe = tmp_path / "clip.wav"
    os.mkfifo(pipe)

    for scheme in SCHEMES:
        refusal(ATTACKS[attack](f"{scheme}{pipe}"))

    # A non-blocking writer of a pipe gets an error if no process has opened the pipe for reading.
    with pytest.raises(OSError, match=r"No such device or address|Device not configured"):
        os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_connects_to_no_address(refusal: Refusal, attack: str):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        for scheme in ("http", "tcp", "rtmp", "rtsp", "ftp", "gopher", "hls+http", "icecast"):
            refusal(ATTACKS[attack](f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/clip.wav"))

        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_plays_no_real_clip(refusal: Refusal, tmp_path: Path, spoken: bytes, attack: str):
    (tmp_path / "clip.m4a").write_bytes(spoken)

    refusal(ATTACKS[attack](str(tmp_path / "clip.m4a")))
