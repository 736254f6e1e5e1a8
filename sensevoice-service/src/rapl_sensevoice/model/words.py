"""The times of words, computed from the times of tokens."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapl_protocol.transcript import Word

WORD_BEGINS = "\u2581"
"""sentencepiece's mark of a token that begins a word. FunASR removes it from all tokens but the first."""


@dataclass(frozen=True, slots=True)
class TimedToken:
    text: str
    start_s: float
    end_s: float
    log_prob: float | None = None
    """Natural logarithm of its probability in its most probable frame; None if the runtime did not report it."""


def words_from_tokens(text: str, tokens: Sequence[TimedToken], duration_s: float) -> tuple[Word, ...] | None:
    """Returns the words of `text`, without punctuation, with times between 0 and `duration_s`.

    Returns None if the tokens do not spell the text, because the times would be wrong.
    """
    letters = [(letter, token) for token in tokens for letter in token.text.replace(WORD_BEGINS, "").strip()]
    if "".join(letter for letter, _ in letters) != "".join(text.split()):
        return None
    words = []
    at = 0
    for chunk in _chunks(text):
        spoken = [index for index, letter in enumerate(chunk, at) if letter.isalnum()]
        if spoken:
            first, last = spoken[0], spoken[-1]
            start_s = min(letters[first][1].start_s, duration_s)
            end_s = max(start_s, min(letters[last][1].end_s, duration_s))
            word = "".join(letter for letter, _ in letters[first : last + 1])
            words.append(Word(word=word, start_s=start_s, end_s=end_s))
        at += len(chunk)
    return tuple(words)


def _chunks(text: str) -> Iterator[str]:
    """Splits at spaces, and around every character of a script without spaces between words."""
    for part in text.split():
        pending = ""
        for character in part:
            if _stands_alone(character):
                if pending:
                    yield pending
                pending = ""
                yield character
            else:
                pending += character
        if pending:
            yield pending


def _stands_alone(character: str) -> bool:
    is_hangul = "\uac00" <= character <= "\ud7a3"
    return unicodedata.east_asian_width(character) in "WF" and not is_hangul
