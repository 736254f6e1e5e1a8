"""The path of keywords, compared with all paths that there are."""

from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapl_sensevoice.keywords.best_path import best_path
from rapl_sensevoice.keywords.context_graph import ContextGraph, Phrase, TokenEdges
from rapl_sensevoice.model.decoding import FrameTokens

PIECES = ("<unk>", "▁on", "ly", "▁open", "▁door", "你", "好", ".")
ON, LY, OPEN, DOOR, YOU, GOOD, STOP = range(1, len(PIECES))
EDGES = TokenEdges.of(PIECES)


def graph_of(*phrases: tuple[int, ...], bonus: float = 3.0) -> ContextGraph:
    return ContextGraph([Phrase(tokens, bonus) for tokens in phrases], EDGES)


def frames_of(*probabilities: dict[int, float]) -> FrameTokens:
    """Each frame has these tokens' probabilities; the other tokens share the rest."""
    rows = np.full((len(probabilities), len(PIECES)), np.nan)
    for row, given_to in zip(rows, probabilities, strict=True):
        row[list(given_to)] = list(given_to.values())
        row[np.isnan(row)] = (1 - sum(given_to.values())) / np.isnan(row).sum()
    return FrameTokens.from_logits(np.log(rows).astype(np.float32), len(PIECES))


def text(path: tuple[int, ...] | list[int]) -> tuple[int, ...]:
    return tuple(token for token, _ in groupby(path) if token != 0)


def tokens(frames: FrameTokens, graph: ContextGraph) -> tuple[int, ...]:
    return text(best_path(frames, graph).tokens[:, 0].tolist())


def greedy(frames: FrameTokens) -> tuple[int, ...]:
    return text(frames.tokens[:, 0].tolist())


CONFUSED = frames_of({0: 0.9}, {OPEN: 0.6, ON: 0.3}, {0: 0.9}, {LY: 0.7, DOOR: 0.2}, {STOP: 0.9})


def test_a_keyword_takes_the_place_of_a_word_that_sounds_alike():
    assert greedy(CONFUSED) == (OPEN, LY, STOP)
    assert tokens(CONFUSED, graph_of((DOOR,))) == (OPEN, DOOR, STOP)


def test_a_phrase_that_breaks_off_leaves_the_text_as_it_is():
    assert tokens(CONFUSED, graph_of((ON, GOOD, YOU), (DOOR, GOOD), bonus=3.5)) == greedy(CONFUSED)


def test_a_phrase_that_the_audio_ends_in_leaves_the_text_as_it_is():
    frames = frames_of({OPEN: 0.9}, {LY: 0.6, DOOR: 0.3})

    assert tokens(frames, graph_of((DOOR, STOP), bonus=6.0)) == greedy(frames)


def test_the_beginning_of_another_word_is_no_keyword():
    frames = frames_of({OPEN: 0.6, ON: 0.3}, {LY: 0.999})

    assert tokens(frames, graph_of((ON,), bonus=2.0)) == (OPEN, LY)
    assert tokens(frames, graph_of((ON, LY), bonus=2.0)) == (ON, LY)


def test_a_keyword_without_a_space_is_found_in_a_script_without_spaces_only():
    after_a_word = frames_of({ON: 0.95}, {STOP: 0.6, LY: 0.3})
    after_a_character = frames_of({YOU: 0.95}, {STOP: 0.6, LY: 0.3})

    assert tokens(after_a_word, graph_of((LY,))) == (ON, STOP)
    assert tokens(after_a_character, graph_of((LY,))) == (YOU, LY)


def test_a_shorter_phrase_counts_where_a_longer_one_breaks_off():
    frames = frames_of({OPEN: 0.6, YOU: 0.3}, {GOOD: 0.9}, {STOP: 0.9})

    assert tokens(frames, graph_of((YOU, GOOD), (YOU, GOOD, DOOR))) == (YOU, GOOD, STOP)
    assert tokens(frames, graph_of((GOOD, STOP), (YOU, GOOD, DOOR), bonus=0.1)) == (OPEN, GOOD, STOP)


def test_the_log_probabilities_are_those_of_the_path():
    path = best_path(CONFUSED, graph_of((DOOR,)))

    assert path.tokens[:, 0].tolist() == [0, OPEN, 0, DOOR, STOP]
    assert np.exp(path.log_probs[:, 0]) == pytest.approx([0.9, 0.6, 0.9, 0.2, 0.9], rel=1e-5)


@st.composite
def clips(draw: st.DrawFn) -> FrameTokens:
    seed, count = draw(st.integers(0, 10**6)), draw(st.integers(1, 5))
    logits = np.random.default_rng(seed).normal(0, 2, (count, len(PIECES))).astype(np.float32)
    return FrameTokens.from_logits(logits, len(PIECES))


phrases = st.lists(st.lists(st.integers(1, len(PIECES) - 1), min_size=1, max_size=3).map(tuple), min_size=1, max_size=4)


@given(frames=clips(), listed=phrases, bonus=st.floats(0.5, 6))
def test_a_text_without_a_whole_phrase_is_the_text_without_keywords(
    frames: FrameTokens, listed: list[tuple[int, ...]], bonus: float
):
    found = tokens(frames, graph_of(*listed, bonus=bonus))

    has_phrase = any(
        found[at : at + len(phrase)] == phrase for phrase in listed for at in range(len(found) - len(phrase) + 1)
    )
    assert has_phrase or found == greedy(frames)


@given(frames=clips(), phrase=st.sampled_from([(YOU,), (YOU, GOOD), (OPEN, DOOR), (DOOR, STOP, YOU)]))
def test_no_other_path_has_a_higher_score(frames: FrameTokens, phrase: tuple[int, ...]):
    log_probs = [dict(zip(*row, strict=True)) for row in zip(frames.tokens.tolist(), frames.log_probs, strict=True)]

    def score(path: tuple[int, ...] | list[int]) -> float:
        written = text(path)
        found = [at + len(phrase) for at in range(len(written)) if written[at : at + len(phrase)] == phrase]
        count = sum(not (phrase[-1] == DOOR and written[end : end + 1] == (LY,)) for end in found)
        return sum(frame[token] for frame, token in zip(log_probs, path, strict=True)) + 3.0 * count

    used = sorted({0, *phrase, *frames.tokens[:, 0].tolist()})
    best = max(map(score, product(used, repeat=len(log_probs))))

    assert score(best_path(frames, graph_of(phrase)).tokens[:, 0].tolist()) == pytest.approx(best, abs=1e-4)
