"""Sends mutated media to a running gateway or preprocess-service, and counts the kinds of responses.

    python tests/fuzz_media.py --count 20000 --seed 1 --url http://127.0.0.1:8000 --model rapl/selftest
    python tests/fuzz_media.py --count 20000 --seed 1 --url http://127.0.0.1:8010

The first URL is a gateway, which transcribes with the model; the second is preprocess-service. The same seed sends
the same files. It fails (exit code 1) if a response is a 5xx, is cut off or pauses for more than 10 s, or if the
service does not respond at the end.
"""

import argparse
import functools
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path

import av
import httpx
import numpy as np
import soundfile

HANG_S = 10.0
AT_ONCE = 4
RATE_HZ = 16_000
SPEECH = Path(__file__).parents[1] / "samples" / "three-one-four.wav"
CONTAINERS = {
    "wav": ("wav", "pcm_s16le", 44_100),
    "wav-float": ("wav", "pcm_f32le", 16_000),
    "wav-adpcm": ("wav", "adpcm_ima_wav", 22_050),
    "w64": ("w64", "pcm_s16le", 16_000),
    "aiff": ("aiff", "pcm_s16be", 44_100),
    "caf": ("caf", "alac", 44_100),
    "au": ("au", "pcm_mulaw", 8_000),
    "voc": ("voc", "pcm_u8", 8_000),
    "mp3": ("mp3", "libmp3lame", 44_100),
    "aac": ("adts", "aac", 44_100),
    "ac3": ("ac3", "ac3", 48_000),
    "eac3": ("eac3", "eac3", 48_000),
    "amr": ("amr", "libopencore_amrnb", 8_000),
    "flac": ("flac", "flac", 16_000),
    "wv": ("wv", "wavpack", 44_100),
    "tta": ("tta", "tta", 44_100),
    "ogg-opus": ("ogg", "libopus", 48_000),
    "ogg-flac": ("ogg", "flac", 16_000),
    "webm": ("webm", "libopus", 48_000),
    "mkv": ("matroska", "aac", 48_000),
    "m4a": ("ipod", "aac", 44_100),
    "m4a-alac": ("ipod", "alac", 44_100),
    "mp4-opus": ("mp4", "libopus", 48_000),
    "mov": ("mov", "pcm_s16le", 16_000),
    "wma": ("asf", "wmav2", 44_100),
    "flv": ("flv", "aac", 44_100),
    "avi": ("avi", "libmp3lame", 44_100),
    "mpegts": ("mpegts", "aac", 48_000),
    "mpeg": ("mpeg", "mp2", 48_000),
}
"""Name: FFmpeg's muxer, its encoder, and the sample rate."""
LIES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]


@functools.cache
def seeds() -> dict[str, bytes]:
    """A second of speech in each container, and in ogg vorbis."""
    speech, _ = soundfile.read(SPEECH, dtype="float32")
    sound = speech[RATE_HZ // 2 :][:RATE_HZ]
    files = {name: _encoded(sound, *how) for name, how in CONTAINERS.items()}
    vorbis = BytesIO()
    soundfile.write(vorbis, sound, RATE_HZ, format="OGG", subtype="VORBIS")
    return {**files, "ogg-vorbis": vorbis.getvalue()}


def _encoded(sound: np.ndarray, container: str, codec: str, rate_hz: int) -> bytes:
    written = BytesIO()
    with av.open(written, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate_hz, layout="mono", options={"strict": "experimental"})
        stream.bit_rate = 12_200 if container == "amr" else 96_000
        whole = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        whole.sample_rate, whole.pts = RATE_HZ, 0
        resampler = av.AudioResampler(stream.format, "mono", rate_hz, frame_size=stream.frame_size or None)
        for frame in [*resampler.resample(whole), *resampler.resample(None), None]:
            for packet in stream.encode(frame):
                output.mux(packet)
    return written.getvalue()


def mutants(seed: int) -> Iterator[tuple[str, bytes]]:
    """Yields the name of a seed file and a damaged copy, endlessly."""
    chance = random.Random(seed)
    files = seeds()
    names = sorted(files)
    while True:
        name = chance.choice(names)
        media = bytearray(files[name])
        for _ in range(chance.choice((1, 1, 2, 4))):
            chance.choice(MUTATIONS)(media, chance, files[chance.choice(names)])
        yield name, bytes(media)


def flip_bits(media: bytearray, chance: random.Random, _: bytes) -> None:
    for _ in range(chance.choice((1, 3, 20, 200))):
        if media:
            media[_place(media, chance)] ^= 1 << chance.randrange(8)


def cut(media: bytearray, chance: random.Random, _: bytes) -> None:
    del media[_place(media, chance) :]


def remove(media: bytearray, chance: random.Random, _: bytes) -> None:
    start = _place(media, chance)
    del media[start : start + chance.choice((1, 4, 100, 5_000))]


def repeat(media: bytearray, chance: random.Random, _: bytes) -> None:
    start = _place(media, chance)
    media[start:start] = media[start : start + chance.choice((4, 100, 5_000))] * chance.choice((1, 2, 50))


def splice(media: bytearray, chance: random.Random, other: bytes) -> None:
    """Puts a piece of another file in."""
    start, at = _place(other, chance), _place(media, chance)
    media[at : at + chance.choice((0, 100, 5_000))] = other[start : start + chance.choice((16, 500, 20_000))]


def lie(media: bytearray, chance: random.Random, _: bytes) -> None:
    """Overwrites bytes that may be a length, a count or a rate."""
    size = chance.choice((1, 2, 4, 8))
    value = chance.choice([*LIES, chance.getrandbits(8 * size)]) % (1 << 8 * size)
    at = _place(media, chance)
    media[at : at + size] = value.to_bytes(size, chance.choice(("little", "big")))


def erase(media: bytearray, chance: random.Random, _: bytes) -> None:
    at, size = _place(media, chance), chance.choice((8, 200, 4_000))
    media[at : at + size] = bytes([chance.choice((0, 0xFF, 0x20))]) * size


MUTATIONS = (flip_bits, cut, remove, repeat, splice, lie, lie, erase)


def _place(media: bytes | bytearray, chance: random.Random) -> int:
    """A random position, more often in the first bytes, where the headers are."""
    end = len(media) or 1
    return chance.randrange(min(end, chance.choice((64, 1_000, end))))


@dataclass
class Report:
    answers: Counter[str] = field(default_factory=Counter)
    """Number of files by response: 200, 200 with an error at its end, 400 audio_undecodable, ..."""
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


def fuzz(url: str, count: int, seed: int, keep: Path | None = None, model: str | None = None) -> Report:
    """Sends `count` files.

    Args:
        url: of a gateway if there is a `model`, otherwise of preprocess-service.
        count: number of files.
        seed: of the mutations.
        keep: a folder for the files that got a wrong response.
        model: transcribes the files.
    """
    report = Report()
    send = functools.partial(_transcribe, model=model) if model else _prepare
    with httpx.Client(base_url=url, timeout=HANG_S) as client, ThreadPoolExecutor(AT_ONCE) as senders:
        numbered = enumerate(islice(mutants(seed), count))
        while batch := list(islice(numbered, 100)):
            sent = [
                (number, name, media, senders.submit(_timed, send, client, media)) for number, (name, media) in batch
            ]
            for number, name, media, answer in sent:
                result, took_s = answer.result()
                report.answers[result] += 1
                report.slowest_s = max(report.slowest_s, took_s)
                if not result.startswith(("200", "4")):
                    report.failures.append(f"number {number} of seed {seed}, {name}: {result}")
                    if keep:
                        (keep / f"{seed}-{number}-{name}").write_bytes(media)
        if client.get("/health/live").status_code != 200:
            report.failures.append("the service is dead")
    return report


def _timed(send: Callable[[httpx.Client, bytes], str], client: httpx.Client, media: bytes) -> tuple[str, float]:
    began = time.monotonic()
    try:
        result = send(client, media)
    except httpx.TimeoutException:
        result = "hangs"
    except httpx.HTTPError as error:
        result = f"is cut off: {type(error).__name__}"
    return result, time.monotonic() - began


def _prepare(client: httpx.Client, media: bytes) -> str:
    answer = client.post("/v1/prepare", content=media)
    if answer.status_code != 200:
        return _refusal(answer)
    last = answer.content.rpartition(b"\n{")[2]
    if b'"type": "end"' in last:
        return "200"
    if b'"type": "error"' in last:
        return "200 with an error at its end" if b'"invalid_request_error"' in last else "a late 5xx"
    return "has no end"


def _transcribe(client: httpx.Client, media: bytes, model: str) -> str:
    answer = client.post("/v1/audio/transcriptions", data={"model": model}, files={"file": ("speech", media)})
    if answer.status_code != 200:
        return _refusal(answer)
    return "200" if isinstance(answer.json().get("text"), str) else "no text in a 200"


def _refusal(answer: httpx.Response) -> str:
    """The status and the error code, if the response gives a reason."""
    error = answer.json().get("error", {})
    return f"{answer.status_code} {error['code']}" if error.get("message") else f"no reason: {answer.status_code}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8010")
    parser.add_argument("--model", help="a model of the gateway at this URL")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="an existing folder for the files that got a wrong response")
    options = parser.parse_args()
    report = fuzz(options.url, options.count, options.seed, options.keep, options.model)
    for result, number in report.answers.most_common():
        print(f"{number:8} {result}")
    print(f"slowest answer: {report.slowest_s:.1f} s")
    print("\n".join(report.failures) or "no failures")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
