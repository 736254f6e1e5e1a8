"""Keywords in the writings of a vocabulary."""

import math

import numpy as np
import pytest
from rapl_sensevoice.keywords.best_path import best_path
from rapl_sensevoice.keywords.phrases import BONUS, ONE_TOKEN_BONUS, SHARE, Keywords, bonuses
from rapl_sensevoice.model.decoding import FrameTokens
from rapl_sensevoice.model.vocabulary import PieceList, SentencepieceVocabulary
from rapl_sensevoice.transcriber import SELFTEST_FOLDER

PIECES = (
    "<unk>",
    "<|en|>",
    *"▁.abciInopPRALe国國台臺用",
    "▁i",
    "Ph",
    "on",
    "one",
    "▁iPh",
    "▁iPhone",
    "▁RA",
    "PL",
    "▁ra",
    "pl",
)


def written(keyword: str, heard: str) -> bool:
    """Whether a keyword makes this piece more probable."""
    vocabulary = PieceList(PIECES)
    graph = Keywords(vocabulary).graph((keyword,))
    wanted = vocabulary.token(heard)
    assert wanted
    probabilities = np.full((1, len(PIECES)), 1e-4, np.float32)
    probabilities[0, [vocabulary.token("."), wanted]] = 0.45, 0.43
    frames = FrameTokens.from_logits(np.log(probabilities), len(PIECES))
    return graph is not None and best_path(frames, graph).tokens[0, 0] == wanted


@pytest.mark.parametrize(
    ("keyword", "heard"),
    [
        ("iPhone", "▁iPhone"),
        ("Ａ", "A"),  # full-width
        ("a", "A"),
        ("A", "a"),
        ("国", "國"),
        ("臺", "台"),
        ("  国 ", "国"),
    ],
)
def test_a_keyword_is_found_in_other_cases_and_scripts(keyword: str, heard: str):
    assert written(keyword, heard)


@pytest.mark.parametrize(("keyword", "heard"), [("iPhone", "▁i"), ("国", "用")])
def test_other_words_are_no_keywords(keyword: str, heard: str):
    assert not written(keyword, heard)


def test_keywords_that_the_model_cannot_write_have_no_graph():
    assert Keywords(PieceList(PIECES)).graph(("xyz",)) is None


def test_a_keyword_of_several_tokens_has_more_effect_than_one_of_one_token():
    assert bonuses([frozenset({(1,)}), frozenset({(2, 3)})]) == [ONE_TOKEN_BONUS, BONUS]


def test_keywords_that_differ_in_one_token_share_their_bonus():
    writings = [frozenset({(1, 2)}), frozenset({(1, 3), (7, 8, 9)}), frozenset({(4, 2)}), frozenset({(5, 6)})]

    shared = [BONUS - SHARE * math.log(number) for number in (3, 2, 2, 1)]
    assert bonuses(writings) == pytest.approx(shared)


def test_a_keyword_like_very_many_others_has_no_effect():
    assert set(bonuses([frozenset({(1, other)}) for other in range(100)])) == {0.0}


def test_a_list_of_pieces_makes_the_same_tokens_as_sentencepiece():
    [path] = SELFTEST_FOLDER.glob("*.bpe.model")
    theirs = SentencepieceVocabulary(path)
    ours = PieceList([theirs.piece(token) for token in range(theirs.size)])

    for word in (" volume", "volume", " open door", "打开音乐", " three seven", "lightly", " XYZ", ""):
        assert ours.tokens(word) == theirs.tokens(word), word
