"""Formats subtitles as SubRip and WebVTT, byte for byte as OpenAI's server does."""

from collections.abc import Iterable

from rapl_protocol.transcript import Segment


def to_srt(segments: Iterable[Segment]) -> str:
    cues = "".join(
        f"{number}\n{_clock(each.start_s, ',')} --> {_clock(each.end_s, ',')}\n{_line(each)}\n\n"
        for number, each in enumerate(_with_text(segments), 1)
    )
    return cues + "\n"


def to_vtt(segments: Iterable[Segment]) -> str:
    cues = (
        f"{_clock(each.start_s, '.')} --> {_clock(each.end_s, '.')}\n{_line(each)}\n\n" for each in _with_text(segments)
    )
    return "WEBVTT\n\n" + "".join(cues)


def _with_text(segments: Iterable[Segment]) -> Iterable[Segment]:
    return (segment for segment in segments if segment.text.strip())


def _line(segment: Segment) -> str:
    """Returns the text as one line without arrows. A line break would end the cue, and an arrow would break it.

    Source for the arrow: https://github.com/openai/whisper, whisper/utils.py (SubtitlesWriter).
    """
    return " ".join(segment.text.split()).replace("-->", "->")


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(max(0.0, seconds) * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"
