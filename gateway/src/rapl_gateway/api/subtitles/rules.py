"""The rules that subtitles keep, and the request fields that change them."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from rapl_gateway.api.form.fields import invalid
from rapl_gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class SubtitleRules:
    """Source of the defaults: https://partnerhelp.netflixstudios.com/hc/en-us/articles/215758617 (lines of 42
    characters, two lines, 5/6 s to 7 s), and articles/217350977 (20 characters for each second)."""

    max_line_chars: int = 42
    """Widest line, in characters. A full-width character, as in Chinese, Japanese and Korean, counts as two."""
    max_lines: int = 2
    max_cue_s: float = 7.0
    min_cue_s: float = 0.833
    max_chars_per_s: float = 20.0
    """Fastest text. Full-width characters count as two here, too."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            settings.subtitle_max_line_chars,
            settings.subtitle_max_lines,
            settings.subtitle_max_cue_s,
            settings.subtitle_min_cue_s,
            settings.subtitle_max_chars_per_s,
        )

    def reading_s(self, width: int) -> float:
        """Returns the shortest time for which text of this width may be shown, in seconds."""
        return max(self.min_cue_s, width / self.max_chars_per_s)


class SubtitleUnit(StrEnum):
    CUE = "cue"
    WORD = "word"
    """One cue for each word."""


@dataclass(frozen=True, slots=True)
class SubtitleOptions:
    """What a request wants of its subtitles."""

    rules: SubtitleRules | None = field(default_factory=SubtitleRules)
    """None: the engine's segments, each as one cue."""
    unit: SubtitleUnit = SubtitleUnit.CUE

    @property
    def use_words(self) -> bool:
        """Whether the subtitles are made from the times of words."""
        return self.need_words or self.rules is not None

    @property
    def need_words(self) -> bool:
        """Whether there are no subtitles without the times of words."""
        return self.unit is SubtitleUnit.WORD

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(SubtitleRules.of(settings) if settings.subtitle_rules else None)

    def changed_by(self, text_of: Callable[[str], str | None]) -> "SubtitleOptions":
        """Returns these options with those of a request. A field with a rule turns the rules on.

        Args:
            text_of: returns the text of a field, or None if it was not sent.

        Raises:
            ServiceError: INVALID_REQUEST, with the field's name.
        """
        unit = _one_of("subtitle_unit", text_of("subtitle_unit"), tuple(SubtitleUnit))
        switch = _one_of("subtitle_rules", text_of("subtitle_rules"), ("on", "off"))
        texts = {name: text for name in RULE_LIMITS if (text := text_of(name)) is not None}
        changes: dict[str, Any] = {name: _number(name, text) for name, text in texts.items()}
        has_rules = switch == "on" or (switch is None and bool(changes or self.rules))
        rules = replace(self.rules or SubtitleRules(), **changes) if has_rules else None
        if rules and rules.min_cue_s > rules.max_cue_s:
            raise invalid("min_cue_s", "'min_cue_s' must not be longer than 'max_cue_s'")
        return SubtitleOptions(rules, SubtitleUnit(unit) if unit else self.unit)


BY_RULES = SubtitleOptions()
"""What subtitles are without settings."""
RULE_LIMITS: dict[str, tuple[float, float]] = {
    "max_line_chars": (10, 1_000),
    "max_lines": (1, 10),
    "max_cue_s": (1, 60),
    "min_cue_s": (0, 10),
    "max_chars_per_s": (1, 1_000),
}
"""The fields with a rule, and the least and the largest value of each."""
WHOLE_NUMBERS = frozenset({"max_line_chars", "max_lines"})


def width(text: str) -> int:
    """Returns how wide a text is shown, in characters of Latin script."""
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _number(field: str, text: str) -> float:
    least, most = RULE_LIMITS[field]
    is_whole = field in WHOLE_NUMBERS
    try:
        number = int(text) if is_whole else float(text)
    except ValueError:
        number = -1.0
    if not least <= number <= most:  # also true for NaN
        kind = "whole number" if is_whole else "number"
        raise invalid(field, f"'{field}' must be a {kind} from {least:g} to {most:g}")
    return number


def _one_of(field: str, text: str | None, allowed: tuple[str, ...]) -> str | None:
    if text is not None and text not in allowed:
        names = ", ".join(f"'{each}'" for each in allowed)
        raise invalid(field, f"{text[:64]!r} is not one of {names}")
    return text
