"""Collects which parts of a media file could not be read, with their places."""

from collections.abc import Iterable
from typing import Literal

from rapl_protocol.prepared import Damage

JOINED_S = 0.5
"""Damage that is closer than this becomes one place."""
MAX_PLACES = 100
"""Most places in the report on a file. Beyond it, those that are closest to each other are joined too."""
_KEPT_PLACES = 1000
"""Most places while a file is decoded."""


class DamageRecord:
    """The places of damage, in order of time. It stays small, however many packets of a file are broken.

    A place counts in the time of the PCM that is output, in which silence replaces lost audio.
    """

    def __init__(self) -> None:
        self._places: list[Damage] = []

    def add(
        self, start_s: float, end_s: float | None, reason: Literal["undecodable", "cut_off"] = "undecodable"
    ) -> None:
        """Adds a place that does not start before the last one. Damage up to the end of the source has `end_s` None."""
        end_s = None if end_s is None else round(end_s, 3)
        self._append(Damage(reason=reason, start_s=round(start_s, 3), end_s=end_s))
        if len(self._places) > _KEPT_PLACES:
            self._places = _fewer(self._places, _KEPT_PLACES // 2)

    def extend(self, places: Iterable[Damage], offset_s: float) -> None:
        """Adds the places of a part of the file that starts at `offset_s`."""
        for place in places:
            self.add(place.start_s + offset_s, None if place.end_s is None else place.end_s + offset_s, place.reason)

    def places(self) -> tuple[Damage, ...]:
        return tuple(_fewer(self._places, MAX_PLACES))

    def _append(self, place: Damage) -> None:
        last = self._places[-1] if self._places else None
        if last is None or last.end_s is None or place.start_s - last.end_s > JOINED_S:
            self._places.append(place)
        elif last.reason == place.reason:
            self._places[-1] = _joined(last, place)
        else:
            start_s = max(place.start_s, last.end_s)
            end_s = None if place.end_s is None else max(start_s, place.end_s)
            self._places.append(place.model_copy(update={"start_s": start_s, "end_s": end_s}))


def _fewer(places: list[Damage], most: int) -> list[Damage]:
    """Returns at most `most` places. Where gaps are equal, they are closed evenly over the file."""
    by_gap = sorted(range(1, len(places)), key=lambda i: (round(_gap_s(places, i), 1), i % 3))
    closed = set(by_gap[: max(0, len(places) - most)])
    fewer: list[Damage] = []
    for i, place in enumerate(places):
        if i in closed:
            fewer[-1] = _joined(fewer[-1], place)
        else:
            fewer.append(place)
    return fewer


def _gap_s(places: list[Damage], i: int) -> float:
    return places[i].start_s - (places[i - 1].end_s or places[i - 1].start_s)


def _joined(first: Damage, second: Damage) -> Damage:
    end_s = None if first.end_s is None or second.end_s is None else max(first.end_s, second.end_s)
    return first.model_copy(update={"end_s": end_s})


def as_text(places: tuple[Damage, ...]) -> str | None:
    """Returns the places in a short form for the log, or None if there is no damage."""
    if not places:
        return None
    total_s = sum(each.end_s - each.start_s for each in places if each.end_s is not None)
    first = places[0]
    end = "end" if first.end_s is None else f"{first.end_s:.2f}"
    reasons = ",".join(sorted({each.reason for each in places}))
    return f"places={len(places)} damaged_s={total_s:.2f} first_s={first.start_s:.2f}-{end} reasons={reasons}"
