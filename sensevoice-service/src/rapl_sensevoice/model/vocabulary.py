"""The vocabulary: converts token numbers to text."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rapl_sensevoice.model.words import WORD_BEGINS
from rapl_sensevoice.unusable import ModelUnusable


class Vocabulary(Protocol):
    def piece(self, token: int) -> str:
        """Returns the token's text. It starts with WORD_BEGINS if it begins a word."""
        ...

    def text(self, tokens: Sequence[int]) -> str: ...


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


class PieceList:
    """A list of pieces, for exports without the sentencepiece model. A token number is an index into it."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = pieces

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
