"""A text without words is no text, and what an engine returns is judged in a time that grows with its length."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from rapl_gateway.backends.openai_answers import transcript_of
from rapl_gateway.transcription.checks.transcript_checks import TranscriptChecks, better
from rapl_gateway.transcription.checks.usable import usable
from rapl_protocol.intervals import Interval
from rapl_protocol.prepared import SpeechSegment
from rapl_protocol.testing import make_tone
from rapl_protocol.transcript import Decoding, Segment, Transcript

AUDIO = make_tone(3.0)
SPEECH = (Interval(0.2, 2.8),)
NO_WORDS = [
    ".",
    "。",
    "♪",
    "- -",
    "...",
    "…",
    "?!",
    "¿",
    "、",
    "♪♪ ♫",
    "_",
    "😀",
    "🎼😊",
    "\u200b",
    " ",
    "«»",
    "।",
    "؟",
]
WORDS = ["5", "a", "好", "٣", "½", "か。", "♪ la la ♪", "é", "e\u0301.", "ñ", "안", "नमस्ते"]


def transcript(*texts: str, measured: bool = True) -> Transcript:
    """One second for each text."""
    segments = tuple(Segment(start_s=n, end_s=n + 1, text=text) for n, text in enumerate(texts))
    spans = tuple(Interval(each.start_s, each.end_s) for each in segments) if measured else None
    return Transcript(text=" ".join(texts), duration_s=max(3.0, len(texts)), segments=segments, text_spans=spans)


@pytest.mark.parametrize("text", NO_WORDS)
@pytest.mark.parametrize("measured", [True, False])
def test_a_text_of_nothing_but_punctuation_is_empty(text: str, measured: bool):
    used = usable(transcript(text, measured=measured))

    assert (used.text, used.segments) == ("", ())
    assert not used.text_spans


@pytest.mark.parametrize("text", WORDS)
def test_a_text_with_a_letter_or_a_digit_stays_as_it_is(text: str):
    given = transcript(text)

    assert usable(given) is given


@pytest.mark.parametrize("text", NO_WORDS)
def test_a_segment_of_nothing_but_punctuation_is_left_out_and_covers_no_speech(text: str):
    used = usable(transcript("Hello", text, "there."))

    assert used.text == "Hello there."
    assert [each.text for each in used.segments] == ["Hello", "there."]
    assert used.text_spans == (Interval(0, 1), Interval(2, 3))


@pytest.mark.parametrize("text", [".", "。", "♪", "- -", "😀"])
async def test_speech_for_which_an_engine_writes_only_punctuation_is_a_problem(start, text):
    fleet = await start()
    fleet.sensevoice.text = text
    fleet.preprocess.speech_s = 2.0
    answer = await fleet.transcribe(AUDIO.to_wav(), response_format="verbose_json")

    assert (answer.json()["text"], answer.json()["segments"]) == ("", [])
    assert answer.json()["problems"]


@pytest.mark.parametrize("text", [".", "♪ ♪", "😀 ."])
async def test_only_punctuation_is_not_streamed(start, text):
    fleet = await start()
    fleet.sensevoice.text, fleet.sensevoice.streams = text, True
    answer = await fleet.transcribe(stream="true")

    assert "transcript.text.delta" not in answer.text
    assert '"text":""' in answer.text.replace(" ", "")
    assert "event: error" not in answer.text


async def test_punctuation_before_the_first_word_is_streamed_with_it(start):
    fleet = await start()
    fleet.sensevoice.text, fleet.sensevoice.streams = "¿ Qué tal ? ♪", True
    answer = await fleet.transcribe(stream="true")

    assert "¿ Qué" in answer.text
    assert "¿ Qué tal ? ♪" in answer.text


def test_more_segments_than_can_be_right_become_one_without_times():
    used = usable(transcript(*["a"] * 1_001))

    assert len(used.segments) == 1
    assert used.text == " ".join(["a"] * 1_001)
    assert used.text_spans is None


def work_of(call: Callable[[], Any]) -> int:
    """The number of lines of Python that run in the call."""
    lines = 0

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines


TEXTS: dict[str, Callable[[int], str]] = {
    "one word": lambda n: "la " * n,
    "two words in turn": lambda n: "la lo " * (n // 2),
    "different words": lambda n: " ".join(f"word{i}" for i in range(n)),
    "every second word": lambda n: " ".join("la" if i % 2 else f"word{i}" for i in range(n)),
    "no spaces": lambda n: "la" * n,
    "characters": lambda n: "好" * n,
    "different characters": lambda n: "".join(chr(0x4E00 + i % 20_000) for i in range(n)),
    "underscores": lambda n: "_ " * n,
    "capitals": lambda n: "A-" * n,
}


def judge(given: Transcript) -> None:
    checks, segment = TranscriptChecks(), SpeechSegment(0.0, 3.0, AUDIO, SPEECH)
    first = checks.judge(usable(given), segment)
    checks.accept(first, segment)
    second = checks.judge(given.model_copy(update={"text": f"but {given.text}"}), segment)
    better(first, second)
    better(second, second)


@pytest.mark.parametrize("kind", TEXTS)
def test_judging_a_text_of_another_server_takes_no_more_work_than_its_length(kind: str):
    texts = [TEXTS[kind](n) for n in (5_000, 10_000)]
    once, twice = (work_of(lambda text=text: judge(transcript_of({"text": text}, 3.0))) for text in texts)

    assert twice < 2.5 * once
    assert twice < 1_000_000


@pytest.mark.parametrize("spans", [True, False])
def test_judging_many_segments_takes_no_more_work_than_their_number(spans: bool):
    def given(count: int) -> Transcript:
        step_s = 3.0 / count
        unsure = Decoding(avg_logprob=-2.0, compression_ratio=9.0)
        segments = [
            Segment(start_s=n * step_s, end_s=(n + 1) * step_s, text="la", decoding=unsure) for n in range(count)
        ]
        places = tuple(Interval(each.start_s, each.end_s) for each in segments) if spans else None
        return Transcript(text="la " * count, duration_s=3.0, segments=tuple(segments), text_spans=places)

    once, twice = (work_of(lambda n=n: judge(given(n))) for n in (450, 900))

    assert twice < 2.5 * once


@pytest.mark.parametrize("overlap_s", [0.0, 5.0])
def test_giving_words_to_segments_takes_no_more_work_than_their_number(overlap_s: float):
    def body(count: int) -> dict[str, object]:
        times = [(n / count, (n + 1) / count) for n in range(count)]
        return {
            "text": "la",
            "segments": [{"text": "la", "start": a, "end": b + overlap_s} for a, b in times],
            "words": [{"word": "la", "start": a, "end": b} for a, b in times],
        }

    once, twice = (work_of(lambda n=n: transcript_of(body(n), 3.0)) for n in (1_000, 2_000))

    assert twice < 2.5 * once


def test_each_word_is_in_the_segment_in_which_it_begins():
    times = [(1.0, 2.0), (0.0, 1.0)]
    segments = [{"text": "la", "start": start_s, "end": end_s} for start_s, end_s in times]
    words = [{"word": str(at_s), "start": at_s, "end": at_s} for at_s in (1.0, 0.0, 0.9, 1.5, 2.0, -1.0)]
    found = transcript_of({"text": "la", "segments": segments, "words": words}, 3.0)

    assert [[word.word for word in each.words or ()] for each in found.segments] == [["0.0", "0.9"], ["1.0", "1.5"]]


@pytest.mark.parametrize("text", ["", "\u266a", "."])
def test_a_segment_without_words_keeps_its_events(text: str):
    laughter = Segment(start_s=0.5, end_s=2.0, text=text, events=("laughter",))
    kept = usable(Transcript(text=text, duration_s=3.0, segments=(laughter,)))

    assert kept.text == ""
    assert kept.segments == (laughter.model_copy(update={"text": ""}),)
