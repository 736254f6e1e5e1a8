"""Keywords on synthetic speech, in sensevoice-service's environment with FunASR: `python recall.py CLIPS`.

Writes one line of JSON: for each list and each contestant, the recall of the phrases in clips that have one, and what
was wrong in clips that have none.
"""

import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from speech import COMMANDS, LISTED_WORDS, spoken

CHINESE = ("开始", "停止", "打开", "关闭", "播放", "音乐", "你好", "谢谢", *"零一二三四五六七八九")
SYLLABLES = ("gh", "ne", "do", "en", "le", "lo", "ur", "ac", "ar", "mu", "op", "wn", "vo", "hr", "ea", "ev", "fi", "li")
"""Pieces of the model that are no words: names made of them are unlike the words of the clips."""
LENGTHS = (10, 100, 1_000)

Texts = list[list[str]]


@dataclass(frozen=True)
class Language:
    """The words of a language in the self-test model."""

    code: str
    voice: str
    """espeak-ng's."""
    words: tuple[str, ...]
    """Of the clips."""
    phrases: tuple[str, ...]
    """The keywords that are spoken."""
    space: str = " "

    def units(self, text: str) -> list[str]:
        """Returns the words of a text; the characters if it has no spaces."""
        return text.split() if self.space else list(text.replace(" ", ""))


ENGLISH_WORDS = Language("en", "en-us", COMMANDS, LISTED_WORDS)
ENGLISH_PHRASES = Language(
    "en", "en-us", (*COMMANDS, *LISTED_WORDS),
    ("light off", "close door", "music down", "no stop", "pause five", "turn left"),
)  # fmt: skip
CHINESE_PHRASES = Language(
    "zh", "cmn", CHINESE, ("打开音乐", "关闭音乐", "停止播放", "开始播放", "谢谢你好", "三七", "九六"), space=""
)
LISTS: dict[str, tuple[Language, Sequence[int], Callable[[random.Random, Language], list[str]] | None]] = {
    "words": (ENGLISH_WORDS, (10,), None),
    "phrases, others like them": (ENGLISH_PHRASES, LENGTHS, lambda rng, spoken_in: _some(rng, spoken_in.words, 2, 4)),
    "phrases, others unlike them": (ENGLISH_PHRASES, LENGTHS, lambda rng, _: ["".join(_some(rng, SYLLABLES, 3, 5))]),
    "Chinese phrases": (CHINESE_PHRASES, (10, 100), lambda rng, spoken_in: _some(rng, spoken_in.words, 2, 4)),
}
"""By name: the language, the lengths of the list, and what makes its other phrases, which no clip has."""


def main(count: int) -> None:
    from rapl_sensevoice.runtimes.openvino import OpenVinoRuntime
    from rapl_sensevoice.transcriber import SELFTEST_FOLDER

    runtime = OpenVinoRuntime("int8", 1)
    runtime.load(SELFTEST_FOLDER)
    found: list[dict[str, Any]] = []
    for name, (language, lengths, other) in LISTS.items():
        rng = random.Random(0)
        said = [sentences(rng, language, count, with_phrase=with_phrase) for with_phrase in (True, False)]
        clips = [[spoken(language.space.join(each), language.voice, rng) for each in group] for group in said]
        plain = [transcribed(runtime, each, language) for each in clips]
        for length in lengths:
            keywords = listed(length, language, [*said[0], *said[1]], rng, other)
            graph = runtime.graph(keywords)
            texts = {
                "no keywords": plain,
                "RAPL": [transcribed(runtime, each, language, graph) for each in clips],
            }
            if not language.space:  # it compares the sounds of Chinese, and replaces nearly all English words
                texts["FunASR's correction of the text"] = [corrected(each, keywords, language) for each in plain]
            for contestant, result in texts.items():
                figures = figures_of([units(each, language) for each in said], result, keywords, language)
                found.append({"list": name, "length": length, "contestant": contestant, **figures})
                print(found[-1], file=sys.stderr, flush=True)
    print(json.dumps(found))


def _some(rng: random.Random, words: Sequence[str], least: int, most: int) -> list[str]:
    return rng.choices(words, k=rng.randint(least, most))


def sentences(rng: random.Random, language: Language, count: int, *, with_phrase: bool) -> Texts:
    """Returns texts of three to six words, with or without one of the phrases."""
    found: Texts = []
    while len(found) < count:
        words = _some(rng, language.words, 3, 6)
        if with_phrase:
            words.insert(rng.randrange(len(words) + 1), rng.choice(language.phrases))
        text = language.space.join(words)
        if with_phrase or not any(times(language.units(text), each, language) for each in language.phrases):
            found.append(words)
    return found


def listed(
    length: int,
    language: Language,
    said: Texts,
    rng: random.Random,
    other: Callable[[random.Random, Language], list[str]] | None,
) -> tuple[str, ...]:
    """Returns the phrases, and others that no clip has."""
    texts = units(said, language)
    phrases = dict.fromkeys(language.phrases)
    while other and len(phrases) < length:
        phrase = language.space.join(other(rng, language))
        if not any(times(words, phrase, language) for words in texts):
            phrases[phrase] = None
    return tuple(phrases)


def corrected(texts: Texts, keywords: tuple[str, ...], language: Language) -> Texts:
    """FunASR's own function, with its default threshold."""
    from funasr.utils.postprocess_hotwords import PostprocessHotwordMatcher

    matcher = PostprocessHotwordMatcher(fuzzy_targets=keywords)
    return [language.units(matcher.apply_text(language.space.join(text))[0]) for text in texts]


def transcribed(runtime: Any, clips: Sequence[bytes], language: Language, graph: Any = None) -> Texts:
    from rapl_protocol.audio import WavAudio
    from rapl_sensevoice.model.rich_tags import parse_rich_text
    from rapl_sensevoice.runtimes.runtime import DecodeRequest

    requests = [
        DecodeRequest(runtime.features(WavAudio(clip)), language.code, False, itn=False, graph=graph) for clip in clips
    ]
    return [language.units(parse_rich_text(runtime.decode_batch([each])[0].rich_text).text) for each in requests]


def units(texts: Texts, language: Language) -> Texts:
    return [language.units(language.space.join(each)) for each in texts]


def figures_of(
    said: Sequence[Texts], written: Sequence[Texts], keywords: Sequence[str], language: Language
) -> dict[str, float]:
    """Returns the recall of the phrases in the first group of clips, and for the second group how many phrases of the
    list were written although they were not said, and the wrong words."""
    pairs = [
        (times(words, each, language), times(text, each, language))
        for words, text in zip(said[0], written[0], strict=True)
        for each in language.phrases
    ]
    inserted = sum(
        max(0, times(text, each, language) - times(words, each, language))
        for words, text in zip(said[1], written[1], strict=True)
        for each in keywords
    )
    return {
        "recall": 100 * sum(map(min, pairs)) / sum(spoken for spoken, _ in pairs),
        "inserted": 100 * inserted / len(said[1]),
        "errors": errors(said[1], written[1]),
        "errors with": errors(said[0], written[0]),
    }


def times(text: Sequence[str], phrase: str, language: Language) -> int:
    """How often a phrase is in the text."""
    wanted = language.units(phrase)
    return sum(list(text[at : at + len(wanted)]) == wanted for at in range(len(text) - len(wanted) + 1))


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
