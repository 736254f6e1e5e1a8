"""The vocabulary: converts token numbers to text."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from rapl_sensevoice.model.words import WORD_BEGINS
from rapl_sensevoice.unusable import ModelUnusable

_BEFORE = "<|en|>"
"""A tag of every SenseVoice vocabulary."""


class Vocabulary(Protocol):
    @property
    def size(self) -> int: ...

    def piece(self, token: int) -> str:
        """Returns the token's text. It starts with WORD_BEGINS if it begins a word."""
        ...

    def text(self, tokens: Sequence[int]) -> str: ...

    def tokens(self, text: str) -> tuple[int, ...] | None:
        """Returns the tokens of a text, or None if it has a character that the model cannot write.

        A text that begins with a space begins a word; another one continues the text before it.
        """
        ...

    def token(self, piece: str) -> int | None:
        """Returns the token with this text; None if there is none."""
        ...


class SentencepieceVocabulary:
    def __init__(self, path: Path) -> None:
        import sentencepiece

        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.load(str(path))
        except (OSError, RuntimeError) as error:
            raise ModelUnusable(f"{path.name} is not a sentencepiece model", "Replace it.") from error

    def piece(self, token: int) -> str:
        return self._processor.id_to_piece(token)

    def text(self, tokens: Sequence[int]) -> str:
        return self._processor.decode(list(tokens))

    @property
    def size(self) -> int:
        return self._processor.get_piece_size()

    def tokens(self, text: str) -> tuple[int, ...] | None:
        # After a tag: at the beginning of a text, sentencepiece adds a space.
        encoded: list[int] = self._processor.encode(_BEFORE + text)
        tag = self._processor.piece_to_id(_BEFORE)
        found = encoded[encoded.index(tag) + 1 :] if tag in encoded else encoded
        return None if self._processor.unk_id() in found else tuple(found)

    def token(self, piece: str) -> int | None:
        found: int = self._processor.piece_to_id(piece)
        return None if found == self._processor.unk_id() else found


class PieceList:
    """A list of pieces, for exports without the sentencepiece model. A token number is an index into it."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = pieces
        self._numbers = {piece: number for number, piece in enumerate(pieces)}

    @classmethod
    def from_tokens_txt(cls, path: Path) -> "PieceList":
        """Reads sherpa-onnx's file: one piece and its number per line."""
        return cls([line.rpartition(" ")[0] for line in path.read_text().split("\n") if line])

    @classmethod
    def from_tokens_json(cls, path: Path) -> "PieceList":
        """Reads FunASR's file: a JSON list."""
        return cls(json.loads(path.read_bytes()))

    def piece(self, token: int) -> str:
        return self._pieces[token]

    def text(self, tokens: Sequence[int]) -> str:
        return "".join(self._pieces[token] for token in tokens).replace(WORD_BEGINS, " ").strip()

    @property
    def size(self) -> int:
        return len(self._pieces)

    def tokens(self, text: str) -> tuple[int, ...] | None:
        """Merges characters into pieces as sentencepiece does: first the pair whose piece has the lowest number, which
        is the pair that training merged first."""
        found = list(text.replace(" ", WORD_BEGINS))
        while merges := [
            (self._numbers[first + second], at)
            for at, (first, second) in enumerate(pairwise(found))
            if first + second in self._numbers
        ]:
            _, at = min(merges)
            found[at : at + 2] = ["".join(found[at : at + 2])]
        return tuple(self._numbers[piece] for piece in found) if self._numbers.keys() >= set(found) else None

    def token(self, piece: str) -> int | None:
        return self._numbers.get(piece)
