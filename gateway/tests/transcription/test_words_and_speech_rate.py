import pytest
from rapl_gateway.transcription.checks.speech_rate import SpeechRate, usual_s
from rapl_gateway.transcription.checks.words import loop_words, words_of

SENTENCE = "the quick brown fox jumps over the lazy dog and then it goes home to sleep"


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
    ("text", "words"),
    [
        (SENTENCE, 0),
        ("no no no no", 0),
        ("thank you " * 20, 40),
        (SENTENCE * 3 + " so" * 9, 10),
        (SENTENCE + " very very very very good", 0),
        (SENTENCE + " I see you there" * 3, 12),
        ("谢谢" * 12, 24),
        ("", 0),
    ],
)
def test_a_loop_is_a_phrase_said_again_and_again_and_not_a_word_said_twice(text: str, words: int):
    assert loop_words(words_of(text)) == pytest.approx(words, abs=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("And so my fellow Americans, ask not what your country can do for you.", 4.0),
        ("欢迎大家来体验达摩院推出的语音识别模型", 4.2),
        ("客観的実在の判断的知識が成立するのである。", 3.7),
        ("Бедняга, ребят, на его месте должен был быть я.", 2.6),
        ("그는 이리저리 피하면서 길 한 옆으로 걸어갔다.", 4.4),
        ("3 1 4 1 5 9", 1.7),
        ("the SIP of M-I-S-D-N", 2.6),
        ("WE MUST FIND A NEW HOME", 1.3),
        ("... !", 0.0),
    ],
)
def test_the_usual_duration_of_a_text_is_that_of_its_script(text: str, seconds: float):
    assert usual_s(text) == pytest.approx(seconds, rel=0.1)


def test_a_rate_is_known_from_the_third_text_on_and_forgets_a_text_that_came_into_doubt():
    rate = SpeechRate()
    for text in (SENTENCE, SENTENCE * 2, SENTENCE):
        assert rate.value is None
        rate.add(text, speech_s=usual_s(SENTENCE))
    assert rate.value == pytest.approx(1.0)
    rate.remove(SENTENCE, speech_s=usual_s(SENTENCE))
    rate.add(SENTENCE * 2, speech_s=usual_s(SENTENCE))

    assert rate.value == pytest.approx(2.0)


def test_texts_with_little_speech_do_not_count_for_a_rate():
    rate = SpeechRate()
    for _ in range(9):
        rate.add("well", speech_s=0.5)

    assert rate.value is None
