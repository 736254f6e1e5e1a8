"""Keywords on synthetic speech, in sensevoice-service's environment with FunASR: `python recall.py CLIPS`.

Writes one line of JSON: for each length of the list and each contestant, the recall of the listed words in clips that
have them, and what was inserted into clips that have none of them.
"""

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

LISTED = ("stop", "close", "pause", "left", "off", "no", "light", "down", "music", "five")
OTHERS = (
    "start", "open", "play", "next", "back", "up", "right", "yes", "on", "door", "volume", "hello", "please", "turn",
    "set", "zero", "one", "two", "three", "four", "six", "seven", "eight", "nine",
)  # fmt: skip
"""With LISTED, all English words of the self-test model. Many sound alike through noise: off and on, no and zero."""
VOICES = ("m5", "m8", "f4", "f5", "klatt3", "Jacky", "steph", "john")
"""Variants of espeak-ng's voice that the model was not trained with."""
SNR_DB = 20
RATE_HZ, ESPEAK_RATE_HZ, HEADER_BYTES = 16_000, 22_050, 44
LENGTHS = (10, 100, 1_000)

Texts = list[list[str]]


def main(count: int) -> None:
    from rapl_sensevoice.runtimes.openvino import OpenVinoRuntime
    from rapl_sensevoice.transcriber import SELFTEST_FOLDER

    rng = random.Random(0)
    with_them = [(words, spoken(words, rng)) for words in (sentence(rng, LISTED) for _ in range(count))]
    without = [(words, spoken(words, rng)) for words in (sentence(rng, ()) for _ in range(count))]
    runtime = OpenVinoRuntime("int8", 1)
    runtime.load(SELFTEST_FOLDER)
    spoken_with, spoken_without = ([words for words, _ in each] for each in (with_them, without))
    found: list[dict[str, Any]] = []
    clips = [[audio for _, audio in each] for each in (with_them, without)]
    plain = [transcribed(runtime, each) for each in clips]
    for length in LENGTHS:
        keywords = listed(length, [*spoken_with, *spoken_without], rng)
        graph = runtime.graph(keywords)
        texts = {
            "no keywords": plain,
            "RAPL": [transcribed(runtime, each, graph) for each in clips],
            "FunASR's correction of the text": [corrected(each, keywords) for each in plain],
        }
        for contestant, (with_listed, other) in texts.items():
            inserted = sum(text.count(word) for text in other for word in LISTED)
            found.append({
                "length": length, "contestant": contestant, "recall": recall(spoken_with, with_listed),
                "inserted": 100 * inserted / count, "errors": errors(spoken_without, other),
            })  # fmt: skip
            print(found[-1], file=sys.stderr, flush=True)
    print(json.dumps(found))


def corrected(texts: Texts, keywords: tuple[str, ...]) -> Texts:
    """FunASR's own function, with its default threshold."""
    from funasr.utils.postprocess_hotwords import PostprocessHotwordMatcher

    matcher = PostprocessHotwordMatcher(fuzzy_targets=keywords)
    return [matcher.apply_text(" ".join(text))[0].split() for text in texts]


def transcribed(runtime: Any, clips: Sequence[bytes], graph: Any = None) -> Texts:
    from rapl_protocol.audio import WavAudio
    from rapl_sensevoice.model.rich_tags import parse_rich_text
    from rapl_sensevoice.runtimes.runtime import DecodeRequest

    requests = [DecodeRequest(runtime.features(WavAudio(clip)), "en", False, itn=False, graph=graph) for clip in clips]
    return [parse_rich_text(runtime.decode_batch([each])[0].rich_text).text.split() for each in requests]


def sentence(rng: random.Random, one_of: Sequence[str]) -> list[str]:
    """Three to six words that are not listed; one of them is replaced by one of `one_of`, if there are any."""
    words = [rng.choice(OTHERS) for _ in range(rng.randint(3, 6))]
    if one_of:
        words[rng.randrange(len(words))] = rng.choice(one_of)
    return words


def listed(length: int, sentences: Sequence[Sequence[str]], rng: random.Random) -> tuple[str, ...]:
    """The listed words, and phrases of the same vocabulary that no clip contains."""
    pairs = {" ".join(pair) for words in sentences for pair in pairwise(words)}
    phrases: list[str] = [*LISTED]
    while len(phrases) < length:
        words = rng.choices((*LISTED, *OTHERS), k=rng.randint(2, 4))
        if not pairs & {" ".join(pair) for pair in pairwise(words)}:
            phrases.append(" ".join(words))
    return tuple(phrases)


def spoken(words: Sequence[str], rng: random.Random) -> bytes:
    """16-bit PCM at 16 kHz, with white noise."""
    command = ["espeak-ng", "-v", f"en-us+{rng.choice(VOICES)}", "-s", str(rng.choice((150, 165, 180))), "--stdout"]
    wav = subprocess.run([*command, " ".join(words)], capture_output=True, check=True).stdout
    speech = np.frombuffer(wav[HEADER_BYTES:], "<i2").astype(np.float64)
    samples = len(speech) * RATE_HZ // ESPEAK_RATE_HZ
    speech = np.fft.irfft(np.fft.rfft(speech)[: samples // 2 + 1], samples)
    speech = np.pad(speech * 0.5 / np.abs(speech).max(), RATE_HZ // 5)
    level = np.sqrt(np.mean(speech[np.abs(speech) > 1e-3] ** 2))
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, level * 10 ** (-SNR_DB / 20), len(speech))
    return (np.clip(speech + noise, -1, 1) * 32767).astype("<i2").tobytes()


def recall(expected: Texts, actual: Texts) -> float:
    """Per cent of the listed words that were written."""
    pairs = [
        (words.count(each), text.count(each)) for words, text in zip(expected, actual, strict=True) for each in LISTED
    ]
    return 100 * sum(map(min, pairs)) / sum(spoken for spoken, _ in pairs)


def errors(expected: Texts, actual: Texts) -> float:
    """Words that are wrong, missing or too many, in per cent of the spoken words."""
    wrong = sum(distance(words, text) for words, text in zip(expected, actual, strict=True))
    return 100 * wrong / sum(map(len, expected))


def distance(expected: Sequence[str], actual: Sequence[str]) -> int:
    row = list(range(len(actual) + 1))
    for number, wanted in enumerate(expected, start=1):
        diagonal, row[0] = row[0], number
        for at, written in enumerate(actual, start=1):
            best = min(row[at] + 1, row[at - 1] + 1, diagonal + (wanted != written))
            diagonal, row[at] = row[at], best
    return row[-1]


if __name__ == "__main__":
    main(int(sys.argv[1]))
