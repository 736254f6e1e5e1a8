"""Puts replacements into a transcript: into its text, its segments and its words with their times."""

from collections.abc import Iterator, Sequence

from rapl_protocol.transcript import Segment, Transcript, Word

from rapl_gateway.transcription.replacements import Edit, Replacements, edited

Span = tuple[int, int]


def with_replacements(transcript: Transcript, replacements: Replacements) -> Transcript:
    """Returns the transcript with the replacements. A phrase may begin in one segment and end in the next: what takes
    its place is then in the first of them."""
    if not replacements:
        return transcript
    edits = replacements.edits(transcript.text)
    segments: list[Segment] = []
    at = 0
    for segment in transcript.segments:
        start = transcript.text.find(segment.text.strip(), at)
        if start < 0:
            own = replacements.edits(segment.text)
        else:
            at = start + len(segment.text.strip())
            indent = len(segment.text) - len(segment.text.lstrip())
            own = list(_inside(edits, (start - indent, start - indent + len(segment.text))))
        segments.append(_edited_segment(segment, own))
    return transcript.model_copy(update={"text": edited(transcript.text, edits), "segments": tuple(segments)})


def _inside(edits: Sequence[Edit], span: Span) -> Iterator[Edit]:
    """Yields the parts of edits that are in a span, counted from its start. Of an edit that begins before the span only
    the text that it removes is in it."""
    start, end = span
    for edit in edits:
        if edit.start < end and edit.end > start:
            text = edit.text if edit.start >= start else ""
            yield Edit(max(edit.start, start) - start, min(edit.end, end) - start, text)


def _edited_segment(segment: Segment, edits: list[Edit]) -> Segment:
    if not edits:
        return segment
    words = segment.words and tuple(_edited_words(segment.text, segment.words, edits))
    return segment.model_copy(update={"text": edited(segment.text, edits), "words": words})


def _edited_words(text: str, words: Sequence[Word], edits: Sequence[Edit]) -> Iterator[Word]:
    """Yields the words with the edits of their segment's text. Words that are replaced together become one word with
    the time of all of them, unless as many words take their place."""
    group: list[Word] = []
    group_span = (0, 0)
    at = 0
    for word in words:
        start = text.find(word.word.strip(), at)
        if start < 0:
            yield word
            continue
        span = start, start + len(word.word.strip())
        at = span[1]
        if group and not any(edit.start < group_span[1] and edit.end > start for edit in edits):
            yield from _group(text, group, group_span, edits)
            group = []
        group_span = (group_span[0] if group else start, span[1])
        group.append(word)
    if group:
        yield from _group(text, group, group_span, edits)


def _group(text: str, words: Sequence[Word], span: Span, edits: Sequence[Edit]) -> Iterator[Word]:
    """Yields the words of one or more edits that overlap all of them."""
    own = list(_inside(edits, span))
    written = edited(text[slice(*span)], own).strip() if own else ""
    parts = written.split()
    if not own:
        yield from words
    elif len(parts) == len(words):
        for word, part in zip(words, parts, strict=True):
            yield word.model_copy(update={"word": part})
    elif written:
        yield Word(word=written, start_s=words[0].start_s, end_s=words[-1].end_s)
