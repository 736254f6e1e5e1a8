"""Puts the transcripts of consecutive segments together to that of the whole."""

from rapl_protocol.transcript import Segment, Transcript, join_texts


class Assembly:
    """Takes parts in order; what `add` returns, put together, is the text of `transcript()`."""

    def __init__(self) -> None:
        self._text = ""
        self._segments: list[Segment] = []
        self._language_s: dict[str, float] = {}
        self.duration_s = 0.0
        """Of the whole source; known at the end."""

    def add(self, part: Transcript, start_s: float) -> str:
        """Adds the part that begins at `start_s`, and returns how the text grows by it."""
        text = join_texts((self._text, part.text))
        grown, self._text = text[len(self._text) :], text
        self._segments += [segment.shifted(start_s) for segment in part.segments]
        if part.language:
            self._language_s[part.language] = self._language_s.get(part.language, 0.0) + part.duration_s
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
