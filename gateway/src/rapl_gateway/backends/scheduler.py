"""Gives each piece of audio to a replica of a backend: in turn, where least waits, and elsewhere if that one fails."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.call import ConnectError
from rapl_service.fair_queue import FairQueue

from rapl_gateway.backends.load import QueuedAudio, Throughput
from rapl_gateway.backends.replica import Replica

MAX_RUNS = 2
"""A replica may die for reasons of its own, so a piece is run once more; a second death is the piece's doing."""
LONG_AHEAD, SHORT_AHEAD = 1, 8
"""How many pieces a replica is given beyond those that it works on: so many that it never waits for the next one, and
so few of long recordings that what is short passes them there."""
LONG_PATIENCE = 8
"""So many times longer a piece of a long recording waits for a replica to come back: nobody sits in front of it, and
much would be lost with it."""
_LONGEST_HOLD_S = 30.0

log = logging.getLogger("rapl")


@dataclass(frozen=True, slots=True)
class CallOptions:
    """In whose name and for how long something is asked."""

    share: str
    """Whose it is: those who ask take turns."""
    deadline_s: float
    request_id: str | None
    has_stand_in: bool
    """Another model hears it where this one is away."""


@dataclass(eq=False, slots=True)
class QueuedSegment:
    """Some audio that is to be transcribed."""

    model: str
    audio_s: float
    is_long: bool
    terms: CallOptions
    deadline: float
    """When it is given up, on the event loop's clock."""
    granted: asyncio.Future[Replica] = field(init=False)
    is_done: bool = False
    runs: int = 0
    refusal: ServiceError | None = None
    """What a replica said for whom the model is not ready."""


class Scheduler:
    """The queue in front of a backend's replicas.

    Args:
        name: of the backend, for people.
        restart_wait_s: how long a piece waits for a replica to come back, since one was last well. One that has been
            away for longer, or was never seen, fails it at once.
        parallel: how many pieces a replica works on at once; None: as it says itself.
    """

    def __init__(self, name: str, restart_wait_s: float, parallel: int | None = None) -> None:
        self.replicas: list[Replica] = []
        self.load = QueuedAudio()
        self.pace = Throughput()
        self._name = name
        self._restart_wait_s = restart_wait_s
        self._parallel = parallel
        self._waiting: FairQueue[QueuedSegment] = FairQueue()
        self._stranded: list[QueuedSegment] = []
        """Those for which no replica is well just now."""
        self._ready_at: dict[str, float] = {}
        """When each model was last known to be ready somewhere."""

    async def transcribe(self, audio: WavAudio, options: TranscribeOptions, terms: CallOptions) -> Transcript:
        """Raises: ServiceError, also BACKEND_TIMEOUT where the piece's turn did not come within its deadline."""
        piece = QueuedSegment(options.model, audio.duration_s, options.is_long, terms, _now() + terms.deadline_s)
        while True:
            async with Lease(self, piece) as replica:
                try:
                    limits = {"deadline_s": piece.deadline - _now(), "request_id": terms.request_id}
                    transcript = await replica.interruptible(replica.client.transcribe(audio, options, **limits))
                    piece.is_done = True
                    return transcript
                except ServiceError as error:
                    self._require_replay(piece, replica, error)

    async def stream(
        self, audio: WavAudio, options: TranscribeOptions, terms: CallOptions
    ) -> AsyncGenerator[str | Transcript, None]:
        """Raises: as `transcribe`. It is run again only as long as nothing was yielded."""
        piece = QueuedSegment(options.model, audio.duration_s, options.is_long, terms, _now() + terms.deadline_s)
        while True:
            has_begun = False
            async with Lease(self, piece) as replica:
                limits = {"deadline_s": piece.deadline - _now(), "request_id": terms.request_id}
                texts = replica.client.stream(audio, options, **limits)
                try:
                    async with aclosing(texts):
                        async for text in texts:
                            has_begun = True
                            piece.is_done = isinstance(text, Transcript)
                            yield text
                    return
                except ServiceError as error:
                    if has_begun:
                        raise
                    self._require_replay(piece, replica, error)

    def slots(self) -> int:
        """How many pieces all replicas together work on at once; 0 while none is well."""
        return sum(self._slots(replica) for replica in self.replicas if replica.problem is None)

    def dispatch(self) -> None:
        """Gives out what can be given out, now that something has changed."""
        for replica in self.replicas:
            for info in replica.models:
                if replica.is_ready(info.id):
                    self._ready_at[info.id] = time.monotonic()
        self._interrupt_those_away()
        self._grant()

    async def granted(self, piece: QueuedSegment) -> Replica:
        """Waits for a replica that has room for the piece."""
        piece.granted = asyncio.Future()
        self._waiting.add(piece, is_long=piece.is_long, client_id=piece.terms.share)
        self._grant()
        if piece.granted.done():
            return piece.granted.result()
        try:
            async with asyncio.timeout_at(piece.deadline):
                return await piece.granted
        except TimeoutError as error:
            self._withdraw(piece)
            message = f"{self._name} has more to do than it can within the deadline"
            raise ServiceError(ErrorCode.BACKEND_TIMEOUT, message) from error
        except asyncio.CancelledError:
            self._withdraw(piece)
            raise

    def _grant(self) -> None:
        stranded, self._stranded = self._stranded, []
        for piece in stranded:
            self._waiting.add(piece, is_long=piece.is_long, client_id=piece.terms.share)
        while piece := self._next():
            if not piece.granted.done():
                self._place(piece)

    def _next(self) -> QueuedSegment | None:
        """The next piece that may be given out. Where no replica is well, every one is looked at."""
        if not self._waiting:
            return None
        well = [replica for replica in self.replicas if replica.problem is None]
        if not well or any(self._has_room(replica, LONG_AHEAD) for replica in well):
            return self._waiting.take()
        return self._waiting.take_short() if any(self._has_room(replica, SHORT_AHEAD) for replica in well) else None

    def _place(self, piece: QueuedSegment) -> None:
        able = [replica for replica in self.replicas if replica.may_serve(piece.model)]
        if not able and not self._may_hope(piece):
            if piece.refusal is None:
                able = [replica for replica in self.replicas if replica.problem is None]
            if not able:
                piece.granted.set_exception(self._failure(piece))
                return
        free = [each for each in able if self._has_room(each, LONG_AHEAD if piece.is_long else SHORT_AHEAD)]
        if not free:
            self._stranded.append(piece)
            return
        replica = min(free, key=lambda each: (not each.is_ready(piece.model), each.held_s))
        replica.held += 1
        replica.held_s += piece.audio_s
        self.pace.begin()
        piece.granted.set_result(replica)

    def give_back(self, replica: Replica, piece: QueuedSegment) -> None:
        self.load.remove(piece.terms.share, piece.audio_s)
        self._free(replica, piece)

    def _free(self, replica: Replica, piece: QueuedSegment) -> None:
        replica.held -= 1
        replica.held_s = replica.held_s - piece.audio_s if replica.held else 0.0
        self.pace.end(piece.audio_s if piece.is_done else 0.0)
        if piece.is_done:
            self._ready_at[piece.model] = time.monotonic()
        self._grant()

    def _withdraw(self, piece: QueuedSegment) -> None:
        """Takes back what was granted at the very moment at which nobody waited for it any more."""
        if piece.granted.done() and not piece.granted.cancelled() and piece.granted.exception() is None:
            self._free(piece.granted.result(), piece)
        piece.granted.cancel()

    def _require_replay(self, piece: QueuedSegment, replica: Replica, error: ServiceError) -> None:
        """Sees to it that the piece goes elsewhere, or to the same replica when it is back.

        Raises: the error, where the same would happen again.
        """
        if error.code is ErrorCode.MODEL_NOT_READY:
            piece.refusal = error
            replica.refuse(piece.model)
            return
        if error.code is not ErrorCode.BACKEND_UNAVAILABLE:
            raise error
        replica.failed(error)
        if not isinstance(error, ConnectError):
            piece.runs += 1
            if piece.runs >= MAX_RUNS:
                raise error
        log.warning("backend=%s address=%s a piece goes elsewhere", self._name, replica.address)

    def _may_hope(self, piece: QueuedSegment) -> bool:
        """Whether a replica was well so lately that one may soon be again, or loads what was ready before."""
        patience_s = self._restart_wait_s * (LONG_PATIENCE if piece.is_long else 1)
        if time.monotonic() < self._ready_at.get(piece.model, -math.inf) + patience_s:
            return True
        is_loading = any(replica.is_loading(piece.model) for replica in self.replicas)
        return is_loading and piece.model in self._ready_at and not piece.terms.has_stand_in

    def _failure(self, piece: QueuedSegment) -> ServiceError:
        error = piece.refusal or next(replica.problem for replica in self.replicas if replica.problem)
        return ServiceError(error.code, error.message, param=error.param, retry_after_s=error.retry_after_s)

    def _interrupt_those_away(self) -> None:
        """What hangs is run again elsewhere, if there is a replica elsewhere."""
        if any(replica.problem is None for replica in self.replicas):
            for replica in self.replicas:
                if replica.problem and replica.problem.code is ErrorCode.BACKEND_TIMEOUT:
                    replica.interrupt()

    def _has_room(self, replica: Replica, ahead: int) -> bool:
        return replica.held < self._slots(replica) + ahead

    def _slots(self, replica: Replica) -> int:
        return self._parallel or replica.parallel

    def rest_s(self, piece: QueuedSegment, began: float) -> float:
        """How long a replica will still be at work on a piece that it has had since `began`, to judge by its pace."""
        whole_s = (self.pace.time_s(piece.audio_s) or 0.0) * max(1, self.slots())
        return min(_LONGEST_HOLD_S, max(0.0, whole_s - (_now() - began)))


class Lease:
    """Waits for a replica, and has it for the piece as long as the context lasts."""

    def __init__(self, dispatcher: Scheduler, piece: QueuedSegment) -> None:
        self._dispatcher = dispatcher
        self._piece = piece

    async def __aenter__(self) -> Replica:
        dispatcher, piece = self._dispatcher, self._piece
        dispatcher.load.add(piece.terms.share, piece.audio_s)
        try:
            self._replica = await dispatcher.granted(piece)
        except BaseException:
            dispatcher.load.remove(piece.terms.share, piece.audio_s)
            raise
        self._began = _now()
        return self._replica

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        dispatcher, piece = self._dispatcher, self._piece
        if isinstance(error, asyncio.CancelledError | GeneratorExit) and not piece.is_done:
            # The replica may go on with it: until it will have ended, its place is not free.
            rest_s = dispatcher.rest_s(piece, self._began)
            asyncio.get_running_loop().call_later(rest_s, dispatcher.give_back, self._replica, piece)
        else:
            dispatcher.give_back(self._replica, piece)


def _now() -> float:
    return asyncio.get_running_loop().time()
