"""The final pass over a turn: the same work and the same checks as for a file with this audio."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.prepared import MAX_SEGMENT_S, PrepareOptions
from rapl_protocol.transcript import TokenLogprob, TranscribeOptions, Transcript, join_texts

from rapl_gateway.backends.fallback import LoadReservation, Target
from rapl_gateway.settings import Settings
from rapl_gateway.timing import Stopwatch
from rapl_gateway.transcription.pipeline import Job, Pipeline
from rapl_gateway.transcription.result import Problem

_LEAST_S = 0.1
"""Seconds. Shorter audio has no words, and some engines refuse it."""


class FinalPass:
    """Transcribes the parts of one turn in order, and collects what is known about their texts.

    Args:
        pipeline: transcribes files.
        targets: the model of the turn, and its fallbacks.
        settings: the gateway's settings.
        client_id: the client, with whom others take turns.
        request_id: goes into logs and to the engine.
        stopwatch: measures the stages.
        is_model_ready: whether the model is loaded now.
        streams_words: whether the engine's words are used as they are decoded.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        targets: Sequence[Target],
        settings: Settings,
        *,
        client_id: str,
        request_id: str,
        stopwatch: Stopwatch,
        is_model_ready: Callable[[], bool],
        streams_words: bool,
    ) -> None:
        self._pipeline = pipeline
        self._reservation = LoadReservation(targets, client_id, 0.0, stopwatch)
        self._stopwatch = stopwatch
        self._prepare = PrepareOptions(speech_detection=settings.speech_switch)
        self._request_id = request_id
        self._is_model_ready = is_model_ready
        self._streams_words = streams_words
        self._texts: list[str] = []
        self._languages_s: Counter[str] = Counter()
        self._logprobs: list[TokenLogprob] | None = []
        self._covered_s = 0.0
        self._has_coverage = True
        self.duration_s = 0.0
        """Seconds of the audio of all parts so far."""
        self.problems: list[Problem] = []
        """Their times count from the start of the turn."""
        self.retried: list[str] = []
        """The reason of each place whose first text was in doubt."""

    async def texts(
        self, pcm: bytes, options: TranscribeOptions, known: Transcript | None
    ) -> AsyncGenerator[str, None]:
        """Yields the beginning of the next part's text, as far as it is decoded, and at the end the whole text.

        Args:
            pcm: the audio of the part, s16le.
            options: as for a file.
            known: the engine's transcript of the part, if it is known already.

        Raises:
            ServiceError: can also be raised after some texts.
        """
        if len(pcm) < _LEAST_S * BYTES_PER_SECOND:
            self.duration_s += len(pcm) / BYTES_PER_SECOND
            yield ""
            return
        job = self._job(WavAudio(pcm), options, known)
        text = ""
        async with aclosing(self._pipeline.texts(job)) as texts:
            async for added in texts:
                text += added
                if job.is_streamed:
                    yield text
        self._add(job)
        yield job.result.transcript().text

    def _job(self, audio: WavAudio, options: TranscribeOptions, known: Transcript | None) -> Job:
        return Job(
            media=audio.to_wav(),
            prepare=self._prepare,
            options=options,
            reservation=self._reservation,
            request_id=self._request_id,
            stopwatch=self._stopwatch,
            is_streamed=self._streams_words or audio.duration_s > MAX_SEGMENT_S,
            is_model_ready=self._is_model_ready(),
            interactive_s=MAX_SEGMENT_S,
            known=known,
        )

    def _add(self, job: Job) -> None:
        result, start_s = job.result, self.duration_s
        for each in result.problems:
            end_s = None if each.end_s is None else each.end_s + start_s
            self.problems.append(replace(each, start_s=each.start_s + start_s, end_s=end_s))
        self.retried += [each.reason for each in result.retried]
        for code in result.languages:
            self._languages_s[code] += result.duration_s  # type: ignore[assignment]  # typeshed's counters count integers
        if result.coverage is None:
            self._has_coverage = False
        else:
            self._covered_s += result.coverage * result.duration_s
        logprobs = result.logprobs
        self._logprobs = None if logprobs is None or self._logprobs is None else [*self._logprobs, *logprobs]
        self._texts.append(result.transcript().text)
        self.duration_s += result.duration_s

    @property
    def text(self) -> str:
        """The text of all parts, as a file with this audio has it."""
        return join_texts(self._texts)

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that engines detected, the one with the most audio first."""
        return tuple(code for code, _ in self._languages_s.most_common())

    @property
    def logprobs(self) -> tuple[TokenLogprob, ...] | None:
        """The tokens of `text`; None if they were not requested or are not known for all of it."""
        return None if self._logprobs is None else tuple(self._logprobs)

    @property
    def coverage(self) -> float | None:
        """As `TranscriptBuilder.coverage`; each part counts by its length."""
        if not self._has_coverage:
            return None
        return self._covered_s / self.duration_s if self.duration_s else 1.0
