"""SubRip and WebVTT, byte for byte as OpenAI's server formats them."""

from collections.abc import Iterable

from rapl_protocol.transcript import Segment


def to_srt(segments: Iterable[Segment]) -> str:
    cues = "".join(
        f"{number}\n{_clock(s.start_s, ',')} --> {_clock(s.end_s, ',')}\n{s.text.strip()}\n\n"
        for number, s in enumerate(_spoken(segments), 1)
    )
    return cues + "\n"


def to_vtt(segments: Iterable[Segment]) -> str:
    cues = (f"{_clock(s.start_s, '.')} --> {_clock(s.end_s, '.')}\n{s.text.strip()}\n\n" for s in _spoken(segments))
    return "WEBVTT\n\n" + "".join(cues)


def _spoken(segments: Iterable[Segment]) -> Iterable[Segment]:
    return (segment for segment in segments if segment.text.strip())


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(max(0.0, seconds) * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"
