"""Cues that name their speakers: each has the words of one person."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from rapl_protocol.transcript import Segment

from rapl_gateway.api.subtitles.cues import Cue, own_cues, ruled_cues, word_cues
from rapl_gateway.api.subtitles.formats import srt_label
from rapl_gateway.api.subtitles.rules import RULE_LIMITS, SubtitleOptions, SubtitleUnit, width
from rapl_gateway.speakers.assignment import SpokenSegment


def cues_of(segments: Sequence[Segment], options: SubtitleOptions, duration_s: float) -> list[Cue]:
    """Returns the cues as the options want them. None is extended beyond `duration_s`, unless that is 0."""
    if options.unit is SubtitleUnit.WORD:
        return word_cues(segments)
    if options.rules is None:
        return own_cues(segments)
    return ruled_cues(segments, options.rules, duration_s)


def spoken_cues(spoken: Sequence[SpokenSegment], options: SubtitleOptions, duration_s: float) -> list[Cue]:
    """Returns the cues of all speakers. A line leaves room for the speaker's name."""
    runs = [(speaker, [each.segment for each in run]) for speaker, run in groupby(spoken, lambda each: each.speaker)]
    ends_s = [*(segments[0].start_s for _, segments in runs[1:]), duration_s]
    return (
        [
            replace(cue, speaker=speaker)
            for (speaker, segments), end_s in zip(runs, ends_s, strict=True)
            for cue in cues_of(segments, _with_room(options, speaker), end_s)
        ]
        if runs
        else []
    )


def _with_room(options: SubtitleOptions, speaker: str) -> SubtitleOptions:
    if options.rules is None:
        return options
    narrowest, _ = RULE_LIMITS["max_line_chars"]
    left = max(int(narrowest), options.rules.max_line_chars - width(srt_label(speaker)))
    return replace(options, rules=replace(options.rules, max_line_chars=left))
