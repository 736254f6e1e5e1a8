import pytest
from rapl_gateway.transcription.checks import Suspicion, TranscriptChecks, has_loop, words_of

SENTENCE = "the quick brown fox jumps over the lazy dog and then it goes home to sleep"

OTHER = " while nobody says a word about what has become of all the others there"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 5 o'clock.", ["it's", "5", "o'clock"]),
        ("你好，world!", ["你", "好", "world"]),
        ("안녕 하세요", ["안", "녕", "하", "세", "요"]),
        ("... !", []),
    ],
)
def test_words_are_counted_in_any_script(text: str, words: list[str]):
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "is_loop"),
    [
        (SENTENCE, False),
        ("no no no no", False),
        ("thank you " * 20, True),
        (SENTENCE + " so so so so so so so so so so so so so so so so so so", True),
        (SENTENCE + " very very very good", False),
        ("谢谢" * 12, True),
        ("", False),
    ],
)
def test_a_loop_is_a_phrase_that_fills_the_text_and_not_a_word_said_twice(text: str, is_loop: bool):
    assert has_loop(words_of(text)) is is_loop


@pytest.mark.parametrize(
    ("text", "speech_s", "suspicion"),
    [
        ("", 20.0, Suspicion.NO_TEXT),
        ("...", 20.0, Suspicion.NO_TEXT),
        ("", 0.5, Suspicion.NO_TEXT),
        ("", 0.2, None),
        ("quick", 4.0, Suspicion.TOO_LITTLE),
        ("the quick brown fox", 4.0, None),
        ("ok ok ok ok ok ok ok ok", 8.0, Suspicion.LOOP),
        ("the quick brown fox", 20.0, Suspicion.TOO_LITTLE),
        (SENTENCE + OTHER, 20.0, None),
        (SENTENCE * 2, 20.0, Suspicion.SAME_AGAIN),
        (SENTENCE * 2 + OTHER * 2, 20.0, Suspicion.TOO_MUCH),
        ("the quick", 2.0, None),
    ],
)
def test_typical_signs_of_lost_words_are_a_suspicion(text: str, speech_s: float, suspicion: Suspicion | None):
    checks = TranscriptChecks()
    for _ in range(3):
        checks.accept(SENTENCE * 2, 20.0)

    assert checks.suspicion(text, speech_s) is suspicion


@pytest.mark.parametrize(("suspicion", "text"), [(Suspicion.NO_TEXT, ""), (Suspicion.TOO_LITTLE, "quick")])
def test_the_same_text_again_clears_a_suspicion_about_little_speech(suspicion: Suspicion, text: str):
    checks = TranscriptChecks()
    for _ in range(3):
        checks.accept(SENTENCE * 2, 20.0)

    assert checks.compare(suspicion, text, text, 0.8) == (False, None)


def test_a_pace_is_compared_only_with_the_recordings_own():
    assert TranscriptChecks().suspicion("slowly", 20.0) is None


@pytest.mark.parametrize(
    ("suspicion", "first", "again", "is_better", "remaining"),
    [
        (Suspicion.NO_TEXT, "", SENTENCE + OTHER, True, None),
        (Suspicion.NO_TEXT, "", "the quick", True, Suspicion.TOO_LITTLE),
        (Suspicion.NO_TEXT, "", "", False, Suspicion.NO_TEXT),
        (Suspicion.LOOP, "a " * 9, SENTENCE + OTHER, True, None),
        (Suspicion.LOOP, "a " * 9, "A. " * 9, False, None),
        (Suspicion.LOOP, "a " * 9, "b " * 9, False, Suspicion.LOOP),
        (Suspicion.TOO_LITTLE, "the quick", SENTENCE + OTHER, True, None),
        (Suspicion.TOO_LITTLE, "the quick", "the quick", False, Suspicion.TOO_LITTLE),
        (Suspicion.TOO_LITTLE, "the quick", "the", False, Suspicion.TOO_LITTLE),
        (Suspicion.TOO_LITTLE, "the quick", "the quick brown", True, Suspicion.TOO_LITTLE),
        (Suspicion.TOO_MUCH, (SENTENCE + OTHER) * 2, SENTENCE + OTHER, True, None),
        (Suspicion.TOO_MUCH, (SENTENCE + OTHER) * 2, (SENTENCE + OTHER) * 2, False, None),
        (Suspicion.TOO_MUCH, (SENTENCE + OTHER) * 2, (OTHER + SENTENCE) * 2, True, None),
        (Suspicion.SAME_AGAIN, SENTENCE * 2, SENTENCE + OTHER, True, None),
        (Suspicion.SAME_AGAIN, SENTENCE * 2, SENTENCE * 2, False, None),
    ],
)
def test_a_retry_is_kept_if_it_is_better_and_the_remaining_suspicion_is_returned(
    suspicion, first, again, is_better, remaining
):
    checks = TranscriptChecks()
    for _ in range(3):
        checks.accept(SENTENCE * 2, 20.0)

    assert checks.compare(suspicion, first, again, 20.0) == (is_better, remaining)
