"""Replaces words and phrases by others, from a table: always the same way, in whole texts and in texts that grow."""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rapl_gateway.languages import is_spaceless


@dataclass(frozen=True, slots=True)
class Edit:
    """A part of a text, and what takes its place."""

    start: int
    end: int
    text: str


@dataclass(slots=True)
class _Node:
    """What may follow in a phrase of the table, by character."""

    next: dict[str, "_Node"] = field(default_factory=dict[str, "_Node"])
    source: str = ""
    """The phrase that ends here, as the table writes it; "" if none does."""


class Replacements:
    """A table of phrases and what takes their place.

    A phrase is found if the text has it with any capitals and any white space between its words, and if no other letter
    or digit is beside it. Scripts without spaces between words have no such limit. Of several phrases at one place the
    longest is replaced. What was put in place is not replaced again.

    The replacement is written as in the table; with a capital if the text has one where the table has none, and in
    capitals if the text is in capitals.

    Args:
        table: replacements by phrase. Neither may have a line break; a phrase is not empty.
    """

    def __init__(self, table: Mapping[str, str]) -> None:
        self.table = dict(table)
        self._root = _Node()
        for phrase in table:
            node = self._root
            for character in " ".join(phrase.split()):
                node = node.next.setdefault(character.lower(), _Node())
            node.source = phrase

    def __bool__(self) -> bool:
        return bool(self.table)

    def merged(self, table: Mapping[str, str]) -> "Replacements":
        """Returns a table that also has these replacements; they override those of the same phrase."""
        return Replacements(self.table | dict(table)) if table else self

    def edits(self, text: str) -> list[Edit]:
        """Returns what is replaced in a whole text, in order."""
        return list(self._edits(text, "", is_end=True)) if self else []

    def replaced(self, text: str) -> str:
        return edited(text, self.edits(text))

    def _edits(self, text: str, before: str, *, is_end: bool) -> Iterator[Edit]:
        """Yields the edits of a text that follows the character `before`. If the text may go on, an edit up to its end
        means that what is replaced from there on is not known yet."""
        at = 0
        while at < len(text):
            if _is_inside_word(text[at - 1] if at else before, text[at]):
                at += 1
                continue
            found = self._longest(text, at, is_end=is_end)
            if found is None:
                yield Edit(at, len(text), "")
                return
            end, source = found
            if source:
                written = _as_written(text[at:end], source, self.table[source])
                if not written and text[end : end + 1].isspace():
                    end += 1  # there would be two spaces
                yield Edit(at, end, written)
            at = max(end, at + 1)

    def _longest(self, text: str, start: int, *, is_end: bool) -> tuple[int, str] | None:
        """Returns the end and the source of the longest phrase that begins at `start`; an empty source if there is
        none. None if that depends on how the text goes on."""
        node, at, found = self._root, start, (start, "")
        while at < len(text):
            character = " " if text[at].isspace() else text[at].lower()
            following = node.next.get(character)
            if following is None:
                return found
            node, at = following, at + 1
            while character == " " and at < len(text) and text[at].isspace():
                at += 1
            if node.source and at < len(text) and not _is_inside_word(text[at - 1], text[at]):
                found = at, node.source
        if not is_end:
            return None
        return (at, node.source) if node.source else found

    def settled(self, text: str, before: str) -> tuple[str, int]:
        """Returns the beginning of a text with its replacements, as far as nothing that follows can change it, and how
        many characters of the text that is.

        Args:
            text: may go on.
            before: the character before it; "" at the beginning.
        """
        edits = list(self._edits(text, before, is_end=False))
        end = len(text)
        if edits and edits[-1].end == len(text):  # a phrase at the end is never settled
            end = edits.pop().start
        return edited(text[:end], edits), end


NO_REPLACEMENTS = Replacements({})


class ReplacedText:
    """A text that grows, with its replacements. What it returned never changes.

    The texts that `add` and `end` return, joined, are what `Replacements.replaced` returns for the whole text.
    """

    def __init__(self, replacements: Replacements) -> None:
        self._replacements = replacements
        self._before = self._waiting = ""
        self.text = ""
        """All that was returned."""

    def add(self, text: str) -> str:
        """Adds text. Returns what can be sent now: without an end that may be the beginning of a phrase."""
        if not self._replacements:
            return self._returned(text)
        self._waiting += text
        settled, length = self._replacements.settled(self._waiting, self._before)
        self._before = self._waiting[:length][-1:] or self._before
        self._waiting = self._waiting[length:]
        return self._returned(settled)

    def end(self) -> str:
        """Returns the rest. No text may be added after it."""
        waiting, self._waiting = self._waiting, ""
        return self._returned(self._replacements.replaced(waiting))

    def _returned(self, text: str) -> str:
        self.text += text
        return text


def edited(text: str, edits: list[Edit]) -> str:
    """Returns the text with the edits, which are in order and do not overlap."""
    parts: list[str] = []
    at = 0
    for edit in edits:
        parts += text[at : edit.start], edit.text
        at = edit.end
    return "".join([*parts, text[at:]])


def _as_written(found: str, source: str, replacement: str) -> str:
    """Returns the replacement with the capitals of the text that was found."""
    if found.isupper() and not source.isupper() and len(found) > 1:
        return replacement.upper()
    if found[0].isupper() and source[0].islower():
        return replacement[:1].upper() + replacement[1:]
    return replacement


def _is_inside_word(before: str, after: str) -> bool:
    """Returns whether two characters beside each other belong to one word."""
    if unicodedata.category(after)[0] == "M":
        return True
    return before != "" and _is_letter(before) and _is_letter(after)


def _is_letter(character: str) -> bool:
    """Returns whether a character is a letter or a digit of a script with spaces between words."""
    is_part = character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"
    return is_part and not is_spaceless(character)
