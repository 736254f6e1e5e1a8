"""Builds the events that the server sends, in OpenAI's form.

Source: https://platform.openai.com/docs/api-reference/realtime-server-events.
"""

import secrets
from collections.abc import Callable
from typing import Any

from rapl_protocol.audio import SAMPLE_RATE_HZ
from rapl_protocol.errors import ServiceError
from rapl_protocol.transcript import TokenLogprob

from rapl_gateway.realtime.rules.config import SessionConfig
from rapl_gateway.realtime.turn_text import TextDelta, TurnCompleted

Event = dict[str, Any]
_TRANSCRIPTION = "conversation.item.input_audio_transcription"


def random_id(prefix: str) -> str:
    """An id in OpenAI's form, such as `item_8f0c...`."""
    return f"{prefix}_{secrets.token_hex(12)}"


class ServerEvents:
    """The events of one session.

    Args:
        session_id: the id of the session.
        expires_at: when the session ends, in seconds since 1970.
        is_flat: whether the client uses the older form of the API, with other names for three events.
        new_id: returns a new id with this prefix.
    """

    def __init__(self, session_id: str, expires_at: int, is_flat: bool, new_id: Callable[[str], str]) -> None:
        self.is_flat = is_flat
        self._session_id = session_id
        self._expires_at = expires_at
        self._new_id = new_id

    def session_created(self, config: SessionConfig) -> Event:
        return self._session("created", config)

    def session_updated(self, config: SessionConfig) -> Event:
        return self._session("updated", config)

    def speech_started(self, item_id: str, at_sample: int) -> Event:
        return self._event("input_audio_buffer.speech_started", audio_start_ms=_ms(at_sample), item_id=item_id)

    def speech_stopped(self, item_id: str, at_sample: int) -> Event:
        return self._event("input_audio_buffer.speech_stopped", audio_end_ms=_ms(at_sample), item_id=item_id)

    def cleared(self) -> Event:
        return self._event("input_audio_buffer.cleared")

    def committed(self, item_id: str, previous_item_id: str | None) -> list[Event]:
        """The events about a turn that has ended and is now an item."""
        before = {"previous_item_id": previous_item_id}
        names = ["created"] if self.is_flat else ["added", "done"]
        item = item_of(item_id, None)
        return [
            self._event("input_audio_buffer.committed", item_id=item_id, **before),
            *(self._event(f"conversation.item.{name}", **before, item=item) for name in names),
        ]

    def delta(self, item_id: str, delta: TextDelta, with_logprobs: bool) -> Event:
        more = {"logprobs": _logprobs(delta.logprobs)} if with_logprobs else {}
        return self._of_item("delta", item_id, delta=delta.text, **more)

    def completed(self, item_id: str, turn: TurnCompleted, with_logprobs: bool) -> Event:
        """The transcript. `coverage` and `problems` are RAPL's own, as in the answer for a file."""
        problems = [{"start": each.start_s, "end": each.end_s, "reason": each.reason} for each in turn.problems]
        return self._of_item(
            "completed",
            item_id,
            transcript=turn.transcript,
            usage={"type": "duration", "seconds": round(turn.duration_s, 3)},
            languages=[{"code": code} for code in turn.languages],
            logprobs=_logprobs(turn.logprobs) if with_logprobs else None,
            coverage=turn.coverage,
            problems=problems,
        )

    def segment(self, item_id: str, turn: TurnCompleted, start_sample: int) -> Event:
        """The turn with its speaker. Its times count from the first audio of the session, as those of its speech."""
        start_s = start_sample / SAMPLE_RATE_HZ
        return self._of_item(
            "segment",
            item_id,
            id=self._new_id("seg"),
            text=turn.transcript,
            speaker=turn.speaker,
            start=round(start_s, 3),
            end=round(start_s + turn.duration_s, 3),
        )

    def failed(self, item_id: str, error: ServiceError) -> Event:
        return self._of_item("failed", item_id, error=error.envelope()["error"])

    def error(self, error: ServiceError, client_event_id: str | None = None) -> Event:
        return self._event("error", error={**error.envelope()["error"], "event_id": client_event_id})

    def item_retrieved(self, item_id: str, transcript: str | None) -> Event:
        return self._event("conversation.item.retrieved", item=item_of(item_id, transcript))

    def item_deleted(self, item_id: str) -> Event:
        return self._event("conversation.item.deleted", item_id=item_id)

    def _session(self, name: str, config: SessionConfig) -> Event:
        described = config.described_flat() if self.is_flat else config.described()
        session = {"object": "realtime.transcription_session", "id": self._session_id, "expires_at": self._expires_at}
        return self._event(f"{'transcription_' if self.is_flat else ''}session.{name}", session=session | described)

    def _of_item(self, name: str, item_id: str, **fields: Any) -> Event:
        return self._event(f"{_TRANSCRIPTION}.{name}", item_id=item_id, content_index=0, **fields)

    def _event(self, name: str, **fields: Any) -> Event:
        return {"type": name, "event_id": self._new_id("event"), **fields}


def item_of(item_id: str, transcript: str | None) -> dict[str, Any]:
    content = [{"type": "input_audio", "transcript": transcript}]
    return {
        "id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user",
        "content": content,
    }  # fmt: skip


def _ms(samples: int) -> int:
    return samples * 1000 // SAMPLE_RATE_HZ


def _logprobs(tokens: tuple[TokenLogprob, ...] | None) -> list[dict[str, Any]] | None:
    if tokens is None:
        return None
    return [{"token": t.token, "bytes": list(t.token.encode()), "logprob": t.logprob} for t in tokens]
