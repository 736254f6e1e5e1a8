import pytest
from rapl_sensevoice.model.words import TimedToken, words_from_tokens


def tokens(*texts: str) -> list[TimedToken]:
    """Each a tenth of a second long, one after another."""
    return [TimedToken(text, i / 10, (i + 1) / 10) for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("text", "spelled", "expected"),
    [
        ("set volume 5.", ("▁set", "volume", "5", "."), [("set", 0.0, 0.1), ("volume", 0.1, 0.2), ("5", 0.2, 0.3)]),
        ("15 don't", ("▁1", "5", "don", "'", "t"), [("15", 0.0, 0.2), ("don't", 0.2, 0.5)]),
        ("你好。ok", ("你", "好", "。", "ok"), [("你", 0.0, 0.1), ("好", 0.1, 0.2), ("ok", 0.3, 0.4)]),
        ("네 좋아요", ("▁네", "좋아", "요"), [("네", 0.0, 0.1), ("좋아요", 0.1, 0.3)]),
        ("", (), []),
    ],
)
def test_words_take_the_times_of_their_tokens(text: str, spelled: tuple[str, ...], expected: list[tuple]):
    words = words_from_tokens(text, tokens(*spelled), duration_s=9)

    assert words is not None
    assert [(w.word, w.start_s, w.end_s) for w in words] == expected


@pytest.mark.parametrize("spelled", [("▁set",), ("▁set", "column"), ("▁set", "volume", "5"), ()])
def test_tokens_that_do_not_spell_the_text_give_no_words(spelled: tuple[str, ...]):
    assert words_from_tokens("set volume", tokens(*spelled), duration_s=9) is None


def test_no_word_ends_after_the_audio():
    [word] = words_from_tokens("volume", [TimedToken("▁volume", 0.4, 0.6)], duration_s=0.5) or ()

    assert (word.start_s, word.end_s) == (0.4, 0.5)
