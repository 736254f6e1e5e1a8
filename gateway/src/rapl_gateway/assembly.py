"""Puts the transcripts of consecutive segments together to that of the whole."""

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcript import Segment, Transcript, join_texts


class Assembly:
    """Takes parts in order; what `add_text` and `add` return, put together, is the text of `transcript()`."""

    def __init__(self) -> None:
        self._text = ""
        self._partial = ""
        self._told = ""
        self._segments: list[Segment] = []
        self._language_s: dict[str, float] = {}
        self.duration_s = 0.0
        """Of the whole source; known at the end."""

    def add_text(self, text: str) -> str:
        """Adds words of the part that is still being decoded, and returns how the text grows by them."""
        self._partial += text
        return self._grow(join_texts((self._text, self._partial)))

    def add(self, part: Transcript, start_s: float) -> str:
        """Adds the part that begins at `start_s`, and returns how the text grows by it.

        Raises:
            ServiceError: INTERNAL, where the part's text is not the one whose beginning was told already.
        """
        self._text, self._partial = join_texts((self._text, part.text)), ""
        grown = self._grow(self._text)
        self._segments += [segment.shifted(start_s) for segment in part.segments]
        if part.language:
            self._language_s[part.language] = self._language_s.get(part.language, 0.0) + part.duration_s
        return grown

    def _grow(self, text: str) -> str:
        if not text.startswith(self._told):
            raise ServiceError(ErrorCode.INTERNAL, "the engine took back words that it had given")
        grown, self._told = text[len(self._told) :], text
        return grown

    @property
    def languages(self) -> list[str]:
        """Codes of the languages that engines heard, the one of most audio first."""
        return sorted(self._language_s, key=self._language_s.__getitem__, reverse=True)

    def transcript(self) -> Transcript:
        return Transcript(
            text=self._text,
            language=next(iter(self.languages), None),
            duration_s=self.duration_s,
            segments=tuple(self._segments),
        )
