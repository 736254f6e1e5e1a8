"""The context graph: the phrases of a request as states and arcs over tokens, with a bonus on each arc.

It is an Aho-Corasick automaton. A path through the tokens of a phrase collects the phrase's bonus token by token. If
the path leaves the phrase before its end, or in the middle of a word, it gives the bonus back. So a text in which no
phrase is complete has no bonus.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from rapl_sensevoice.keywords.letters import is_word_letter

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ROOT = 0
"""The state before the first token of every phrase."""
_NO_ARC = -1


@dataclass(frozen=True, slots=True)
class Phrase:
    """One way to write a keyword."""

    tokens: tuple[int, ...]
    bonus: float
    """Of the whole phrase, in nats: it is added to the log-probability of a path that has the phrase."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenEdges:
    """Where words begin and end in tokens; each is bool, (tokens,). Only scripts with spaces between words count."""

    continues_word: Flags
    """The token begins with a letter or a digit, and not with a space."""
    ends_in_word: Flags
    """The token ends with a letter or a digit."""

    @classmethod
    def of(cls, pieces: Sequence[str]) -> Self:
        begins = [is_word_letter(piece[:1]) for piece in pieces]
        ends = [is_word_letter(piece[-1:]) for piece in pieces]
        return cls(np.array(begins), np.array(ends))

    def is_inside_word(self, before: Ints, after: Ints) -> Flags:
        """Whether the place between two tokens is inside a word."""
        return self.ends_in_word[before] & self.continues_word[after]


@dataclass(slots=True)
class _State:
    children: dict[int, int]
    fallback: int = ROOT
    """The state of the longest end of this path that is the beginning of a phrase."""
    collected: float = 0.0
    """The bonus of the path from the root."""
    complete: float = 0.0
    """The bonus of the phrase that ends here; 0 if none does."""
    kept: tuple[float, float] = (0.0, 0.0)
    """The bonus that a path keeps when it leaves the phrases here: if the next token continues the word, and if not."""


class ContextGraph:
    """The phrases of a request.

    Args:
        phrases: at least one; none without tokens.
        edges: of the model's tokens.
    """

    def __init__(self, phrases: Iterable[Phrase], edges: TokenEdges) -> None:
        states = _trie(phrases)
        self._edges = edges
        self._token_count = len(edges.continues_word)
        arcs = _link(states, edges)
        keys = sorted(arcs) or [_NO_ARC]
        self._arcs = np.array(keys, np.int64)
        self._targets = np.array([arcs.get(key, (ROOT, False))[0] for key in keys], np.int64)
        self._is_within = np.array([arcs.get(key, (ROOT, False))[1] for key in keys])
        self._first = np.zeros(self._token_count, np.int64)
        self._first[list(states[ROOT].children)] = list(states[ROOT].children.values())
        self._collected = np.array([state.collected for state in states])
        self._kept = np.array([state.kept for state in states])
        self.has_token = np.zeros(self._token_count, np.bool_)
        """Whether a token is in a phrase; bool, (tokens,)."""
        self.has_token[[token for state in states for token in state.children]] = True

    def step(self, states: Ints, last_tokens: Ints, tokens: Ints) -> tuple[Ints, Numbers]:
        """Returns the states after one more token, and what it adds to the bonuses of each path or takes back.

        Args:
            states: (paths,)
            last_tokens: (paths,): the last token of each path, or -1.
            tokens: (tokens,): each path is continued with each of them.

        Returns: both (paths, tokens).
        """
        before = states[:, None]
        keys = before * self._token_count + tokens
        arcs = np.minimum(np.searchsorted(self._arcs, keys), len(self._arcs) - 1)
        has_arc = self._arcs[arcs] == keys
        is_inside_word = self._edges.is_inside_word(last_tokens[:, None], tokens) & (last_tokens >= 0)[:, None]
        first = np.where(is_inside_word, ROOT, self._first[tokens])  # a phrase begins where a word begins
        following = np.where(has_arc, self._targets[arcs], first)
        kept = np.where(is_inside_word, self._kept[before, 0], self._kept[before, 1])
        kept = np.where(has_arc & self._is_within[arcs], 0.0, kept)
        return following, self._collected[following] - self._collected[before] + kept

    def refund(self, states: Ints) -> Numbers:
        """Returns what the bonuses of paths change by if they end in these states: 0 or less."""
        return self._kept[states, 1] - self._collected[states]


def _trie(phrases: Iterable[Phrase]) -> list[_State]:
    states = [_State({})]
    for phrase in phrases:
        at = ROOT
        for position, token in enumerate(phrase.tokens, start=1):
            if token not in states[at].children:
                states[at].children[token] = len(states)
                states.append(_State({}))
            at = states[at].children[token]
            so_far = phrase.bonus * position / len(phrase.tokens)
            states[at].collected = max(states[at].collected, so_far)
        states[at].complete = max(states[at].complete, phrase.bonus)
    return states


def _link(states: list[_State], edges: TokenEdges) -> dict[int, tuple[int, bool]]:
    """Sets the fallbacks and the kept bonuses, breadth first.

    Returns the arcs that do not begin a phrase: state times number of tokens plus token, to the next state and whether
    that is in the same phrase.
    """
    arcs: dict[int, tuple[int, bool]] = {}
    inherited: dict[int, dict[int, int]] = {ROOT: {}}
    queue: deque[tuple[int, int, int]] = deque((ROOT, token, state) for token, state in states[ROOT].children.items())
    last_tokens: dict[int, int] = {}
    while queue:
        parent, token, number = queue.popleft()
        state = states[number]
        is_inside_word = False
        if parent != ROOT:
            state.fallback = _fallback(states, states[parent].fallback, token)
            is_inside_word = bool(edges.ends_in_word[last_tokens[parent]] and edges.continues_word[token])
        _set_kept(state, states[parent], states[state.fallback], is_inside_word=is_inside_word)
        last_tokens[number] = token
        inherited[number] = inherited[state.fallback] | state.children
        for following, target in inherited[number].items():
            arcs[number * len(edges.continues_word) + following] = (target, following in state.children)
        queue.extend((number, following, child) for following, child in state.children.items())
    return arcs


def _fallback(states: Sequence[_State], start: int, token: int) -> int:
    at = start
    while at != ROOT and token not in states[at].children:
        at = states[at].fallback
    return states[at].children.get(token, ROOT)


def _set_kept(state: _State, parent: _State, fallback: _State, *, is_inside_word: bool) -> None:
    earlier = parent.kept[0 if is_inside_word else 1]
    state.kept = (max(earlier, fallback.kept[0]), max(earlier, fallback.kept[1], state.complete))
