"""Keywords in the writings of a vocabulary."""

import numpy as np
import pytest
from rapl_sensevoice.keywords.best_path import best_path
from rapl_sensevoice.keywords.phrases import Keywords
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
    probabilities[0, [vocabulary.token("."), wanted]] = 0.6, 0.3
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


def test_a_list_of_pieces_makes_the_same_tokens_as_sentencepiece():
    [path] = SELFTEST_FOLDER.glob("*.bpe.model")
    theirs = SentencepieceVocabulary(path)
    ours = PieceList([theirs.piece(token) for token in range(theirs.size)])

    for word in (" volume", "volume", " open door", "打开音乐", " three seven", "lightly", " XYZ", ""):
        assert ours.tokens(word) == theirs.tokens(word), word
