"""Renders a transcript in every format of `form.ResponseFormat`, as OpenAI's server does."""

import math
import zlib
from typing import Any

from fastapi.responses import JSONResponse, PlainTextResponse, Response
from rapl_protocol.transcript import Decoding, Segment, Transcript

from rapl_gateway.api.form.transcription_form import Granularity, Include, ResponseFormat, TranscriptionForm
from rapl_gateway.api.subtitles.cues import Cue
from rapl_gateway.api.subtitles.formats import to_srt, to_vtt
from rapl_gateway.api.subtitles.rules import SubtitleOptions
from rapl_gateway.api.subtitles.spoken import cues_of, spoken_cues
from rapl_gateway.languages import NAMES
from rapl_gateway.speakers.assignment import spoken_segments
from rapl_gateway.transcription.result import Problem, TranscriptBuilder

UNKNOWN_LANGUAGE = "unknown"
"""`language` in verbose_json if the engine reported none. The field is required, and RAPL does not guess it."""
_ROUNDING = 1e-6
"""Sums of floats may be this much too small."""


def render(result: TranscriptBuilder, form: TranscriptionForm) -> Response:
    """Returns the response in the requested format."""
    transcript = result.transcript()
    match form.response_format:
        case ResponseFormat.TEXT:
            return PlainTextResponse(transcript.text + "\n")
        case ResponseFormat.SRT:
            return PlainTextResponse(to_srt(_cues(transcript, result, form.subtitles)))
        case ResponseFormat.VTT:
            return PlainTextResponse(to_vtt(_cues(transcript, result, form.subtitles)))
        case ResponseFormat.VERBOSE_JSON:
            fields = verbose_fields(transcript, form) | _named_segments(transcript, result, form)
            return JSONResponse(fields | coverage_fields(result) | _subtitles(transcript, result, form))
        case ResponseFormat.DIARIZED_JSON:
            fields = _diarized(transcript, result) | coverage_fields(result)
            return JSONResponse(fields | _subtitles(transcript, result, form))
        case ResponseFormat.JSON:
            return JSONResponse(_json(transcript, result, form))


def _subtitles(transcript: Transcript, result: TranscriptBuilder, form: TranscriptionForm) -> dict[str, Any]:
    """Returns the field `subtitles`, if it was requested: the same files as the formats `srt` and `vtt`."""
    if Include.SUBTITLES not in form.includes:
        return {}
    cues = _cues(transcript, result, form.subtitles)
    return {"subtitles": {"srt": to_srt(cues), "vtt": to_vtt(cues)}}


def _cues(transcript: Transcript, result: TranscriptBuilder, options: SubtitleOptions) -> list[Cue]:
    if result.speakers is None:
        return cues_of(transcript.segments, options, transcript.duration_s)
    return spoken_cues(spoken_segments(transcript.segments, result.speakers), options, transcript.duration_s)


def _diarized(transcript: Transcript, result: TranscriptBuilder) -> dict[str, Any]:
    return {
        "task": "transcribe",
        "duration": round(transcript.duration_s, 3),
        "text": transcript.text,
        "segments": speaker_segments(result),
        "usage": _usage(transcript),
    }


def speaker_segments(result: TranscriptBuilder) -> list[dict[str, Any]]:
    """Returns the segments with their speakers: OpenAI's fields, then RAPL's own. None without speakers."""
    if result.speakers is None:
        return []
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{number:03}",
            "start": round(segment.start_s, 3),
            "end": round(segment.end_s, 3),
            "text": segment.text.strip(),
            "speaker": spoken.speaker,
            "language": segment.language,
            "emotion": segment.emotion,
            "events": list(segment.events),
        }
        for number, spoken in enumerate(spoken_segments(result.transcript().segments, result.speakers), 1)
        for segment in [spoken.segment]
    ]


def _named_segments(transcript: Transcript, result: TranscriptBuilder, form: TranscriptionForm) -> dict[str, Any]:
    """Returns the field `segments` with speakers, if they were requested."""
    if result.speakers is None or Granularity.SEGMENT not in form.granularities:
        return {}
    spoken = spoken_segments(transcript.segments, result.speakers)
    return {"segments": [segment_fields(n, each.segment) | {"speaker": each.speaker} for n, each in enumerate(spoken)]}


def coverage_headers(result: TranscriptBuilder) -> dict[str, str]:
    """Returns how much of the speech has text, the number of problems, and what was not read of the file, as headers
    for every format."""
    headers: dict[str, str] = {}
    if result.coverage is not None:
        headers["x-rapl-coverage"] = f"{_rounded_down(result.coverage):.4f}"
    if result.problems:
        headers["x-rapl-problems"] = str(len(result.problems))
    if result.media.damage:
        headers["x-rapl-damaged-s"] = f"{result.media.damaged_s:.3f}"
    if result.media.audio_track is not None and result.media.other_tracks:
        headers["x-rapl-audio-track"] = str(result.media.audio_track)
        headers["x-rapl-other-audio-tracks"] = ", ".join(str(track.number) for track in result.media.other_tracks)
    return headers


def coverage_fields(result: TranscriptBuilder) -> dict[str, Any]:
    """Returns how much of the speech has text, the problems, and what was not read of the file, as fields of a JSON
    response."""
    fields: dict[str, Any] = {} if result.coverage is None else {"coverage": _rounded_down(result.coverage)}
    fields["damaged_s"] = round(result.media.damaged_s, 3)
    if result.problems:
        fields["problems"] = [_problem(problem) for problem in result.problems]
    if result.retried:
        fields["retried"] = [_problem(problem) for problem in result.retried]
    if result.media.audio_track is not None and result.media.other_tracks:
        fields["audio_track"] = result.media.audio_track
        fields["other_audio_tracks"] = [track.model_dump() for track in result.media.other_tracks]
    return fields


def _problem(problem: Problem) -> dict[str, Any]:
    end_s = None if problem.end_s is None else round(problem.end_s, 3)
    return {"start": round(problem.start_s, 3), "end": end_s, "reason": problem.reason}


def _rounded_down(coverage: float) -> float:
    """Returns the value with four digits. It is 1.0 only if nothing is missing."""
    return math.floor(coverage * 10_000 + _ROUNDING) / 10_000


def language_fields(result: TranscriptBuilder) -> dict[str, Any]:
    """Returns `languages` in OpenAI's form. If there are several, RAPL's own `language_segments` says where each is."""
    fields: dict[str, Any] = {"languages": [{"code": code} for code in result.languages]}
    if len(result.languages) > 1:
        fields["language_segments"] = [
            {"start": round(each.start_s, 3), "end": round(each.end_s, 3), "code": each.code}
            for each in result.language_segments
        ]
    return fields


def logprobs_field(result: TranscriptBuilder) -> dict[str, Any]:
    """Returns the field `logprobs` in OpenAI's form; nothing if the engine has none."""
    if result.logprobs is None:
        return {}
    tokens = [
        {"token": each.token, "logprob": each.logprob, "bytes": list(each.token.encode())} for each in result.logprobs
    ]
    return {"logprobs": tokens}


def _json(transcript: Transcript, result: TranscriptBuilder, form: TranscriptionForm) -> dict[str, Any]:
    if form.translate:
        return {"text": transcript.text}
    body = {"text": transcript.text, **language_fields(result), "usage": _usage(transcript)}
    return body | (logprobs_field(result) if form.logprobs else {})


def _usage(transcript: Transcript) -> dict[str, Any]:
    """Returns the field `usage`. OpenAI reports whole seconds, rounded up."""
    return {"type": "duration", "seconds": math.ceil(transcript.duration_s)}


def verbose_fields(transcript: Transcript, form: TranscriptionForm) -> dict[str, Any]:
    """Returns the fields of verbose_json that OpenAI has."""
    body: dict[str, Any] = {
        "task": "translate" if form.translate else "transcribe",
        "language": "english" if form.translate else _language_name(transcript.language),
        "duration": round(transcript.duration_s, 3),
        "text": transcript.text,
    }
    if Granularity.SEGMENT in form.granularities:
        body["segments"] = [segment_fields(number, segment) for number, segment in enumerate(transcript.segments)]
    if Granularity.WORD in form.granularities:
        body["words"] = [
            {"word": word.word, "start": round(word.start_s, 3), "end": round(word.end_s, 3)}
            for segment in transcript.segments
            for word in segment.words or ()
        ]
    return body | {"usage": _usage(transcript)}


def segment_fields(number: int, segment: Segment) -> dict[str, Any]:
    """Returns OpenAI's ten fields, then RAPL's own. Strict clients refuse the whole response if one of the ten is
    missing, so a field that the engine does not report has a neutral value. docs/openai.md says which engines report
    what."""
    reported = segment.decoding or Decoding()
    text = segment.text.encode()
    fields: dict[str, Any] = {
        "id": number,
        "seek": round(segment.start_s * 100),
        "start": round(segment.start_s, 3),
        "end": round(segment.end_s, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": round(len(text) / len(zlib.compress(text)), 3),
        "no_speech_prob": 0.0,
        "language": segment.language,
        "emotion": segment.emotion,
        "events": list(segment.events),
    }
    return fields | reported.model_dump(exclude_none=True)


def _language_name(code: str | None) -> str:
    return NAMES.get(code, code) if code else UNKNOWN_LANGUAGE
