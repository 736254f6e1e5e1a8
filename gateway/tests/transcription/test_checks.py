"""Judgements about transcripts whose faults are known."""

import pytest
from rapl_gateway.transcription.checks.speech_rate import usual_s
from rapl_gateway.transcription.checks.transcript_checks import Suspicion, TranscriptChecks, better
from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.intervals import Interval, Intervals
from rapl_protocol.prepared import SpeechSegment
from rapl_protocol.transcript import Decoding, Segment, Transcript

FIRST = "the quick brown fox jumps over the lazy dog and then it goes home to sleep until the sun comes up"
SECOND = "while nobody says a word about what has become of all the others there or of their old houses"
SENTENCE_S = 5.6
"""Seconds of speech of each of the two."""
WHOLE = ((0.0, SENTENCE_S, FIRST), (SENTENCE_S, 2 * SENTENCE_S, SECOND))


def segment_of(*speech: tuple[float, float], duration_s: float = 30.0, is_detected: bool = True) -> SpeechSegment:
    audio = WavAudio(bytes(int(duration_s) * BYTES_PER_SECOND))
    return SpeechSegment(0.0, audio.duration_s, audio, tuple(Interval(*s) for s in speech) if is_detected else None)


def timed(*texts: tuple[float, float, str], duration_s: float = 30.0, **decoding: float) -> Transcript:
    """A transcript of an engine that measures the times of its segments."""
    report = Decoding(**decoding) if decoding else None
    segments = tuple(Segment(start_s=start, end_s=end, text=text, decoding=report) for start, end, text in texts)
    spans: Intervals = tuple(Interval(start, end) for start, end, _ in texts)
    text = " ".join(text for _, _, text in texts)
    return Transcript(text=text, duration_s=duration_s, segments=segments, text_spans=spans)


def untimed(text: str, duration_s: float = 30.0) -> Transcript:
    segments = (Segment(start_s=0.0, end_s=duration_s, text=text),) if text else ()
    return Transcript(text=text, duration_s=duration_s, segments=segments)


SPOKEN = segment_of((0.2, 2 * SENTENCE_S), duration_s=12)


def suspicions(transcript: Transcript, segment: SpeechSegment = SPOKEN, checks: TranscriptChecks | None = None):
    return {flag.suspicion for flag in (checks or TranscriptChecks()).judge(transcript, segment).judgement.flags}


@pytest.mark.parametrize("transcript", [timed(*WHOLE), untimed(f"{FIRST} {SECOND}")])
def test_a_complete_transcript_is_not_flagged_and_covers_its_speech(transcript: Transcript):
    judgement = TranscriptChecks().judge(transcript, SPOKEN).judgement

    assert judgement.flags == ()
    assert judgement.covered_s == pytest.approx(judgement.speech_s)
    assert judgement.speech_s == pytest.approx(2 * SENTENCE_S - 0.2)


@pytest.mark.parametrize(
    ("kept", "lost"),
    [(WHOLE[:1], Interval(SENTENCE_S + 0.5, 2 * SENTENCE_S)), (WHOLE[1:], Interval(0.2, SENTENCE_S - 0.5))],
)
def test_speech_without_text_is_in_doubt_at_its_place(kept, lost: Interval):
    judgement = TranscriptChecks().judge(timed(*kept), SPOKEN).judgement

    assert [(flag.suspicion, flag.place) for flag in judgement.flags] == [(Suspicion.NO_TEXT, lost)]
    assert judgement.covered_s == pytest.approx(judgement.speech_s - lost.duration_s)


def test_an_engine_that_measures_times_but_has_one_segment_shows_where_text_is_missing():
    lost = untimed(FIRST, duration_s=12).model_copy(update={"text_spans": (Interval(0.0, SENTENCE_S),)})

    judgement = TranscriptChecks().judge(lost, SPOKEN).judgement

    assert (Suspicion.NO_TEXT, Interval(SENTENCE_S + 0.5, 2 * SENTENCE_S)) in {
        (flag.suspicion, flag.place) for flag in judgement.flags
    }
    assert judgement.covered_s == pytest.approx(SENTENCE_S + 0.3)


def test_many_short_texts_are_together_too_much_for_a_noise():
    texts = FIRST.split()
    scattered = timed(*((0.5 * n, 0.5 * n + 0.5, text) for n, text in enumerate(texts)))

    assert suspicions(scattered, segment_of((3.0, 3.8), duration_s=12)) == {Suspicion.TOO_MUCH}


def test_a_text_without_segments_is_judged_as_a_whole():
    short = untimed("quick brown").model_copy(update={"segments": (), "text_spans": (Interval(0.0, 2 * SENTENCE_S),)})

    assert suspicions(short) == {Suspicion.TOO_LITTLE}


def test_a_lost_middle_is_in_doubt_at_its_place():
    spoken = segment_of((0.0, 3 * SENTENCE_S))
    lost = timed((0.0, SENTENCE_S, FIRST), (2 * SENTENCE_S, 3 * SENTENCE_S, SECOND))

    [flag] = TranscriptChecks().judge(lost, spoken).judgement.flags

    assert flag.suspicion is Suspicion.NO_TEXT
    assert flag.place == Interval(SENTENCE_S + 0.5, 2 * SENTENCE_S - 0.5)


@pytest.mark.parametrize(("speech_s", "is_flagged"), [(0.2, False), (0.5, True), (20.0, True)])
@pytest.mark.parametrize("text", ["", "... !"])
def test_no_words_are_in_doubt_if_there_is_speech(text: str, speech_s: float, is_flagged: bool):
    assert suspicions(untimed(text), segment_of((1.0, 1.0 + speech_s))) == (
        {Suspicion.NO_TEXT} if is_flagged else set()
    )


def test_without_speech_detection_missing_text_may_be_silence():
    unknown = segment_of(is_detected=False)

    assert suspicions(untimed(""), unknown) == set()
    assert suspicions(timed(*WHOLE[:1]), unknown) == set()
    assert suspicions(untimed("ok"), unknown) == set()


def test_far_too_little_text_is_in_doubt_even_in_the_first_segment():
    judgement = TranscriptChecks().judge(untimed("quick brown"), SPOKEN).judgement

    assert [flag.suspicion for flag in judgement.flags] == [Suspicion.TOO_LITTLE]
    assert judgement.covered_s == pytest.approx(usual_s("quick brown"))


def test_a_part_whose_times_hide_a_loss_is_in_doubt_at_its_place():
    [flag] = TranscriptChecks().judge(timed(WHOLE[0], (SENTENCE_S, 2 * SENTENCE_S, "while")), SPOKEN).judgement.flags

    assert flag.suspicion is Suspicion.TOO_LITTLE
    assert flag.place.start_s == pytest.approx(SENTENCE_S)


@pytest.mark.parametrize(
    ("text", "suspicion"),
    [
        (f"{FIRST} {SECOND} " * 3, Suspicion.TOO_MUCH),
        (f"{FIRST} and then" + " and then" * 9, Suspicion.LOOP),
        ("Thanks for watching!", Suspicion.STOCK_PHRASE),
        ("Продолжение следует...", Suspicion.STOCK_PHRASE),
        (FIRST, Suspicion.SAME_AGAIN),
        (f"{FIRST} {SECOND}", Suspicion.SAME_AGAIN),
    ],
)
def test_typical_signs_of_a_wrong_text_are_in_doubt(text: str, suspicion: Suspicion):
    checks = TranscriptChecks()
    before = segment_of((0.0, SENTENCE_S))
    checks.accept(checks.judge(untimed(FIRST), before), before)

    assert suspicion in suspicions(untimed(text), checks=checks)


@pytest.mark.parametrize(
    ("decoding", "suspicion"),
    [
        ({"avg_logprob": -0.4, "compression_ratio": 1.6}, None),
        ({"avg_logprob": -1.3}, Suspicion.UNSURE),
        ({"compression_ratio": 4.0}, Suspicion.LOOP),
    ],
)
def test_the_engines_own_confidence_counts(decoding: dict[str, float], suspicion: Suspicion | None):
    assert suspicions(timed(*WHOLE, **decoding)) == ({suspicion} if suspicion else set())


def test_a_recording_is_measured_by_its_own_rate():
    checks = TranscriptChecks()
    fast = segment_of((0.0, SENTENCE_S / 1.6))
    for text in (FIRST, SECOND, FIRST):
        judged = checks.judge(untimed(text), fast)
        assert judged.judgement.flags == ()
        checks.accept(judged, fast)

    half = suspicions(untimed(SECOND), segment_of((0.0, 2 * SENTENCE_S / 1.6)), checks)

    assert half == {Suspicion.TOO_LITTLE}
    assert suspicions(untimed(SECOND), segment_of((0.0, 2 * SENTENCE_S / 1.6))) == set()


def test_an_early_segment_is_judged_again_by_the_rate_and_no_longer_counts_for_it():
    checks = TranscriptChecks()
    early = segment_of((0.0, 10.0))
    fast = segment_of((0.0, SENTENCE_S / 1.6))
    believed = checks.judge(untimed(FIRST), early)
    checks.accept(believed, early)
    assert believed.judgement.flags == ()
    for text in (SECOND, FIRST, SECOND):
        checks.accept(checks.judge(untimed(text), fast), fast)

    again = checks.judge_by_rate(believed, early)

    assert [flag.suspicion for flag in again.judgement.flags] == [Suspicion.TOO_LITTLE]
    assert checks.rate.value == pytest.approx(usual_s(FIRST) / SENTENCE_S * 1.6, rel=0.1)


NOISE = segment_of((3.0, 3.8), duration_s=12)


@pytest.mark.parametrize(
    ("first", "second", "speech", "text"),
    [
        ("healing housing", "table", NOISE, ""),
        ("no way", "No way!", NOISE, "no way"),
        (f"{FIRST} {SECOND}", f"{FIRST} {SECOND}", NOISE, ""),
        (FIRST, SECOND, SPOKEN, SECOND),
    ],
)
def test_words_for_a_noise_that_are_others_each_time_are_left_out_and_reported(first, second, speech, text):
    checks = TranscriptChecks()
    attempts = (checks.judge(timed((3.0, 3.8, each), avg_logprob=-4.0), speech) for each in (first, second))

    kept = better(*attempts)

    assert kept.transcript.text == text
    assert Suspicion.UNSURE in {flag.suspicion for flag in kept.judgement.flags}
    assert bool(kept.transcript.segments) == bool(text)


@pytest.mark.parametrize(
    ("first", "second", "is_second", "remaining"),
    [
        (untimed(""), untimed(f"{FIRST} {SECOND}"), True, set()),
        (untimed(""), untimed(""), False, {Suspicion.NO_TEXT}),
        (timed(*WHOLE[:1]), timed(*WHOLE), True, set()),
        (timed(*WHOLE[:1]), timed(*WHOLE[:1]), False, {Suspicion.NO_TEXT}),
        (untimed("quick brown"), untimed("quick brown"), False, {Suspicion.TOO_LITTLE}),
        (untimed("a " * 9), untimed(f"{FIRST} {SECOND}"), True, set()),
        (untimed(f"{FIRST} {SECOND} " * 3), untimed(f"{FIRST} {SECOND} " * 3), False, set()),
        (timed(*WHOLE, avg_logprob=-1.3), timed(*WHOLE, avg_logprob=-0.4), True, set()),
    ],
)
def test_the_attempt_with_less_speech_in_doubt_is_kept(
    first: Transcript, second: Transcript, is_second: bool, remaining: set[Suspicion]
):
    checks = TranscriptChecks()

    kept = better(checks.judge(first, SPOKEN), checks.judge(second, SPOKEN))

    assert kept.transcript is (second if is_second else first)
    assert {flag.suspicion for flag in kept.judgement.flags} == remaining
