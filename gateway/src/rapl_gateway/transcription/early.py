"""Segments that were judged before the recording's own speech rate was known are judged again when it is known."""

from rapl_gateway.transcription.checks.transcript_checks import TranscriptChecks
from rapl_gateway.transcription.result import TranscriptBuilder
from rapl_gateway.transcription.segment_task import SegmentTask

_MOST = 8
"""Most segments that wait, each with its audio of up to 1 MB. In noise, a speech rate may never become known."""


class EarlySegments:
    """The first segments of one recording.

    Args:
        result: has the text of these segments.
        checks: the checks of the recording.
        can_change: whether the text can still be changed. If it was streamed, a doubt is only reported.
    """

    def __init__(self, result: TranscriptBuilder, checks: TranscriptChecks, *, can_change: bool) -> None:
        self._result = result
        self._checks = checks
        self._can_change = can_change
        self._waiting: list[tuple[int, SegmentTask]] = []

    async def add(self, task: SegmentTask) -> None:
        """Adds the segment that was added to the result last. Judges all again if the speech rate is known now."""
        if self._checks.rate.value is None:
            self._waiting = [*self._waiting, (self._result.segments_added - 1, task)][-_MOST:]
            return
        waiting, self._waiting = self._waiting, []
        for number, early in waiting:
            if judged := await early.judged_again(self._checks, can_change=self._can_change):
                self._result.replace(number, judged, early.segment)
