"""Formats cues as SubRip and WebVTT, byte for byte as OpenAI's server does."""

from collections.abc import Iterable
from html import escape

from rapl_gateway.api.subtitles.cues import Cue


def to_srt(cues: Iterable[Cue]) -> str:
    blocks = (
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n{_srt_text(cue)}\n\n"
        for number, cue in enumerate(cues, 1)
    )
    return "".join(blocks) + "\n"


def to_vtt(cues: Iterable[Cue]) -> str:
    blocks = (f"{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n{_vtt_text(cue)}\n\n" for cue in cues)
    return "WEBVTT\n\n" + "".join(blocks)


def srt_label(speaker: str) -> str:
    """Returns what SubRip, which has no field for a speaker, has before the text."""
    return f"{_line(speaker)}: "


def _srt_text(cue: Cue) -> str:
    return _text(cue) if cue.speaker is None else srt_label(cue.speaker) + _text(cue)


def _vtt_text(cue: Cue) -> str:
    """Returns the text; if its speaker is named, in a voice span. Then it is escaped, because players read tags in it.

    Source: https://www.w3.org/TR/webvtt1/#webvtt-cue-voice-span
    """
    if cue.speaker is None:
        return _text(cue)
    return f"<v {escape(_line(cue.speaker), quote=False)}>{escape(_text(cue), quote=False)}"


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
