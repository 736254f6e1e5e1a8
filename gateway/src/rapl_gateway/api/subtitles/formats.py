"""Formats cues as SubRip and WebVTT, byte for byte as OpenAI's server does."""

from collections.abc import Iterable

from rapl_gateway.api.subtitles.cues import Cue


def to_srt(cues: Iterable[Cue]) -> str:
    blocks = (
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n{_text(cue)}\n\n"
        for number, cue in enumerate(cues, 1)
    )
    return "".join(blocks) + "\n"


def to_vtt(cues: Iterable[Cue]) -> str:
    blocks = (f"{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n{_text(cue)}\n\n" for cue in cues)
    return "WEBVTT\n\n" + "".join(blocks)


def _text(cue: Cue) -> str:
    return "\n".join(map(_line, cue.lines))


def _line(text: str) -> str:
    """Returns the text as one line without arrows. A line break could end the cue, and an arrow would break it.

    Source for the arrow: https://github.com/openai/whisper, whisper/utils.py (SubtitlesWriter).
    """
    return " ".join(text.split()).replace("-->", "->")


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(max(0.0, seconds) * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"
