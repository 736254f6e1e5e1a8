"""How texts are compared."""

import pytest
from rapl_bench.real.error_rate import Errors, errors, normalized, total


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Press 12, now!", "en", "press twelve now"),
        ("On the 21st, 600,000 people.", "en", "on the twenty first six hundred thousand people"),
        ("Don’t log-in: that's 3.5%", "en", "dont log in thats three point five percent"),
        ("Numéro 12", "fr", "numéro douze"),
        ("ＡＢＣ １２", "de", "abc zwölf"),
    ],
)
def test_words_are_compared_without_case_punctuation_and_figures(text, language, expected):
    assert normalized(text, language) == expected.split()


def test_chinese_is_compared_by_simplified_characters():
    assert normalized("廣州市 地產，協會。", "zh") == list("广州市地产协会")


def test_errors_are_substitutions_deletions_and_insertions():
    assert errors("One two three four.", "one too three four five", "en") == Errors(2, 4)


def test_any_language_can_be_compared_by_characters():
    assert errors("Leichenhalle", "Leichen Haller", "de", by_character=True) == Errors(1, 12)


@pytest.mark.parametrize(("text", "rate"), [("", 0.0), ("Thank you.", 1.0)])
def test_any_word_is_an_error_where_nothing_was_said(text, rate):
    assert errors("", text, "en").rate == rate


def test_the_rate_of_several_texts_is_weighted_by_their_length():
    assert total([errors("a b c", "a b c", "en"), errors("d", "e", "en")]).rate == 0.25
