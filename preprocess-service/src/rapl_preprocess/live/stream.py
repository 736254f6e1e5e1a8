"""The audio of one session: what is converted, judged and sent back. No I/O and no waiting happen here."""

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt
from rapl_protocol.audio import SAMPLE_RATE_HZ, SAMPLE_WIDTH_BYTES
from rapl_protocol.live_audio import Checkpoint, Flush, Flushed, LiveControl, LiveOptions, TurnEvent

from rapl_preprocess.live.conversion import Conversion
from rapl_preprocess.speech.silero_network import CONTEXT_SAMPLES, FRAME_SAMPLES, HIDDEN, LstmState
from rapl_preprocess.speech.streams import StreamState
from rapl_preprocess.speech.turns import Turns, TurnsState

CHECKPOINT_SAMPLES = SAMPLE_RATE_HZ
"""Samples between two checkpoints: a second, which takes at most 4 kB."""
CHECKPOINT_CONTROLS = 512
"""Messages other than audio between two checkpoints. Without them, a client that sends no audio would have to keep all
of its messages."""
_FRAME_BYTES = FRAME_SAMPLES * SAMPLE_WIDTH_BYTES
_FLOAT_BYTES = 4

Output = bytes | TurnEvent | Flushed | Checkpoint


def _floats(count: int) -> object:
    return Field(min_length=count * _FLOAT_BYTES, max_length=count * _FLOAT_BYTES)


class _DetectorState(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    turns: TurnsState
    unjudged: bytes = Field(max_length=_FRAME_BYTES - 1)
    """The beginning of the next frame, s16le."""
    level: float = Field(gt=0, allow_inf_nan=False)
    context: Annotated[bytes, _floats(CONTEXT_SAMPLES)]
    hidden: Annotated[bytes, _floats(HIDDEN)]
    cell: Annotated[bytes, _floats(HIDDEN)]


class _State(BaseModel):
    """The state in a checkpoint."""

    model_config = ConfigDict(frozen=True)

    options: LiveOptions
    first_byte: NonNegativeInt
    first_sample: NonNegativeInt
    at_sample: NonNegativeInt
    controls: NonNegativeInt
    detector: _DetectorState | None


class LiveStream:
    """Converts the audio of a session and finds the turns in it; 70 to 340 kB, most of it in the resampler.

    A step is: one `add` or `control`; then `take_frames`; then `finish_step` with their probabilities. Its output is
    the same however the audio is cut into pieces.

    Args:
        options: the format of the audio, and the detection of turns.
    """

    def __init__(self, options: LiveOptions) -> None:
        self._options = options
        self._conversion = Conversion(options)
        self._received_bytes = self._returned = self._checkpoint_at = 0
        self._controls = self._checkpoint_controls = 1
        self._unjudged = bytearray()
        self._outputs: list[Output] = []
        self._has_flush = False
        self.detector = StreamState()
        self._turns = Turns(options.detection) if options.detection else None

    @classmethod
    def resumed(cls, encoded: str) -> Self:
        """Goes on from the state of a checkpoint. Raises: ValueError."""
        state = _State.model_validate_json(encoded)
        stream = cls(state.options)
        skipped = state.at_sample - state.first_sample
        if not 0 <= skipped <= 2 * SAMPLE_RATE_HZ:
            raise ValueError("the positions of a state are not possible")
        stream._conversion = Conversion(state.options, state.first_byte, state.first_sample, skipped)
        stream._received_bytes = state.first_byte
        stream._returned = stream._checkpoint_at = state.at_sample
        stream._controls = stream._checkpoint_controls = state.controls
        if state.detector and state.options.detection:
            stream._turns = Turns.resumed(state.options.detection, state.detector.turns)
            stream.detector = _detector_of(state.detector)
            stream._unjudged += state.detector.unjudged
        return stream

    @property
    def bytes_per_second(self) -> int:
        """Of the audio that is added."""
        return self._options.rate_hz * self._options.encoding.sample_bytes

    @property
    def duration_s(self) -> float:
        return self._returned / SAMPLE_RATE_HZ

    def add(self, audio: bytes) -> None:
        self._received_bytes += len(audio)
        self._return(self._conversion.add(audio))

    def control(self, message: LiveControl) -> None:
        """All frames before it must have been judged."""
        self._controls += 1
        if isinstance(message, Flush):
            self._restart_conversion(keeps_half_sample=True)
            self._has_flush = True
            return
        before, self._options = self._options, message
        if not message.has_same_format(before):
            self._restart_conversion(keeps_half_sample=False)
        self._configure_detection()

    def take_frames(self) -> bytes:
        """The whole frames that have not been judged yet, s16le."""
        whole = len(self._unjudged) // _FRAME_BYTES * _FRAME_BYTES if self._turns else 0
        frames = bytes(self._unjudged[:whole])
        del self._unjudged[:whole]
        return frames

    def finish_step(self, probabilities: Sequence[float] = ()) -> list[Output]:
        """Returns the output of the step, in the order in which it is sent."""
        if self._turns:
            for event in self._turns.feed(probabilities):
                self._place(event, self._turns.position)
        if self._has_flush:
            self._outputs.append(Flushed(at_sample=self._returned))
            self._has_flush = False
        if checkpoint := self._checkpoint():
            self._outputs.append(checkpoint)
        outputs, self._outputs = self._outputs, []
        return outputs

    def _return(self, pcm: bytes) -> None:
        if pcm:
            self._outputs.append(pcm)
            self._returned += len(pcm) // SAMPLE_WIDTH_BYTES
            if self._turns:
                self._unjudged += pcm

    def _place(self, event: TurnEvent, at_sample: int) -> None:
        """Puts the event after the frame that shows it, which ends at `at_sample`. A client that sends all at once
        makes steps of a second, in which the next turn can begin."""
        if later := (self._returned - at_sample) * SAMPLE_WIDTH_BYTES:
            audio = self._outputs.pop()
            assert isinstance(audio, bytes)
            self._outputs += [audio[:-later], event, audio[-later:]]
        else:
            self._outputs.append(event)

    def _restart_conversion(self, *, keeps_half_sample: bool) -> None:
        """Returns the rest of the output, and begins anew."""
        self._return(self._conversion.finish())
        unused = self._conversion.half_sample if keeps_half_sample else b""
        self._conversion = Conversion(self._options, self._received_bytes - len(unused), self._returned)
        self._conversion.add(unused)

    def _configure_detection(self) -> None:
        if not (detection := self._options.detection):
            if self._turns and (stopped := self._turns.finish()):
                self._outputs.append(stopped)
            self._turns = None
            self._unjudged.clear()
        elif self._turns:
            self._turns.configure(detection)
        else:
            self._turns, self.detector = Turns(detection, self._returned), StreamState()

    def _checkpoint(self) -> Checkpoint | None:
        """A checkpoint, if it is time for one. It lies at the end of the audio that was returned."""
        has_audio = self._returned >= self._checkpoint_at + CHECKPOINT_SAMPLES
        if not has_audio and self._controls < self._checkpoint_controls + CHECKPOINT_CONTROLS:
            return None
        self._checkpoint_at, self._checkpoint_controls = self._returned, self._controls
        first_byte, first_sample = self._conversion.restart_point(self._returned)
        state = _State(
            options=self._options,
            first_byte=first_byte,
            first_sample=first_sample,
            at_sample=self._returned,
            controls=self._controls,
            detector=_state_of(self.detector, self._turns, bytes(self._unjudged)) if self._turns else None,
        )
        return Checkpoint(
            at_sample=self._returned, keep_from_byte=first_byte, controls=self._controls, state=state.model_dump_json()
        )


def _state_of(detector: StreamState, turns: Turns, unjudged: bytes) -> _DetectorState:
    context, hidden, cell = (each.tobytes() for each in (detector.context, detector.lstm.hidden, detector.lstm.cell))
    return _DetectorState(
        turns=turns.state(), unjudged=unjudged, level=detector.level, context=context, hidden=hidden, cell=cell
    )


def _detector_of(state: _DetectorState) -> StreamState:
    """Raises: ValueError."""
    context, hidden, cell = (np.frombuffer(each, np.float32) for each in (state.context, state.hidden, state.cell))
    if not all(np.isfinite(each).all() for each in (context, hidden, cell)):
        raise ValueError("the detector's state is not finite")
    return StreamState(LstmState(hidden, cell), state.level, context)
