"""Figures of what listeners got, by FunASR's names where it has one."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rapl_bench.groups.realtime.speaking import Spoken
from rapl_bench.real.error_rate import errors, total
from rapl_bench.reporting.results import Column, Measure, quantile

LONG_TURN_S = 5.0
"""The targets are for recordings of at least this length."""
COLUMNS = (
    Column("first_update_ms", "ms", 0),
    Column("final_after_stop_ms p50", "ms", 0),
    Column("final_after_stop_ms p95", "ms", 0),
    Column("beside the upload", "", 2),
    Column("unsettled", "s", 1),
    Column("sent before the end", "%", 1),
    Column("settled", "words", 0),
    Column("disagreed", "words", 0),
    Column("disagreed share", "%", 1),
    Column("errors", "%", 1),
)
NOTES = (
    "`first_update_ms` is from the first audio to the first text that is not taken back, in the median. "
    "`final_after_stop_ms` is from the moment at which the person stops (commit, end of the stream or upload) to the "
    "whole text. `beside the upload` is its median divided by that of the upload.",
    "`sent before the end` is the share of all characters that came before the last sample was sent; `unsettled` is "
    "how many seconds of a recording had no text then, by the same share, on average.",
    "`settled` are words that were sent before the end, and `disagreed` those of them that the final pass has "
    "otherwise; only RAPL counts them. `errors` are wrong words, where the recording has a reference.",
)
_TURN = re.compile(r"request_id=(\S+) .*outcome=completed .* settled=(\d+) disagreed=(\d+)")


def measures(
    spoken: Sequence[Spoken], references: Sequence[str | None], upload: Sequence[Spoken]
) -> dict[str, Measure]:
    """One row of COLUMNS, of English recordings.

    Args:
        spoken: what was received.
        references: what is said; None where it is not known.
        upload: the same recordings in another way, for comparison.
    """
    after_ms = [1000 * each.after_stop_s for each in spoken]
    found = {
        "final_after_stop_ms p50": Measure(quantile(after_ms, 0.5)),
        "final_after_stop_ms p95": Measure(quantile(after_ms, 0.95)),
        "beside the upload": Measure(quantile(after_ms, 0.5) / quantile([1000 * u.after_stop_s for u in upload], 0.5)),
    }
    wrong = total(errors(each, s.text, "en") for each, s in zip(references, spoken, strict=True) if each)
    if wrong.length:
        found["errors"] = Measure(100 * wrong.rate)
    if not any(each.sent_before_end or each.first_s for each in spoken):
        return found
    firsts_ms = [1000 * each.first_s for each in spoken if each.first_s is not None]
    found["first_update_ms"] = Measure(quantile(firsts_ms, 0.5))
    found["unsettled"] = Measure(sum(each.unsettled_s for each in spoken) / len(spoken))
    characters = sum(len(each.text) for each in spoken)
    found["sent before the end"] = Measure(100 * sum(each.sent_before_end for each in spoken) / max(1, characters))
    if all(each.settled is not None for each in spoken):
        settled = sum(each.settled or 0 for each in spoken)
        disagreed = sum(each.disagreed or 0 for each in spoken)
        found |= {"settled": Measure(settled), "disagreed": Measure(disagreed)}
        found["disagreed share"] = Measure(100 * disagreed / max(1, settled))
    return found


def with_settled(spoken: Spoken, request_id: str, log: Path) -> Spoken:
    """Adds the counts that the gateway wrote into its log for the turns of a session."""
    turns = [found.groups() for found in _TURN.finditer(log.read_text(errors="replace"))]
    own = [(int(settled), int(disagreed)) for name, settled, disagreed in turns if name == request_id]
    return replace(spoken, settled=sum(each[0] for each in own), disagreed=sum(each[1] for each in own))
