"""What a fallback model gets of a request for another one."""

from typing import Any, cast

from rapl_gateway.backends.catalog import Route
from rapl_gateway.backends.fallback import FallbackClient, Target
from rapl_gateway.backends.load import CallOptions
from rapl_gateway.backends.scheduler import Scheduler
from rapl_gateway.timing import Stopwatch
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcript import TranscribeOptions, Transcript


class OneAnswer:
    """Takes the place of a backend's queue. It has one answer, and records the options of each request."""

    fallbacks = 0

    def __init__(self, answer: Transcript | ServiceError) -> None:
        self.answer = answer
        self.requested: list[TranscribeOptions] = []

    async def transcribe(self, audio: WavAudio, options: TranscribeOptions, call: CallOptions) -> Transcript:
        self.requested.append(options)
        if isinstance(self.answer, ServiceError):
            raise self.answer
        return self.answer


def target(model: str, scheduler: Any) -> Target:
    return Target(Route(model, model, model), cast(Scheduler, scheduler))


async def test_a_fallback_model_gets_its_own_name_and_no_draft_of_the_other_model():
    gone = OneAnswer(ServiceError(ErrorCode.BACKEND_UNAVAILABLE, "it cannot be reached"))
    spare = OneAnswer(Transcript(text="one", duration_s=1.0))
    client = FallbackClient((target("first", gone), target("second", spare)), "client", Stopwatch())
    draft = Transcript(text="on", duration_s=0.5)

    await client.transcribe(WavAudio(bytes(32_000)), TranscribeOptions(model="first", draft=draft), deadline_s=1.0)

    assert [(options.model, options.draft) for options in gone.requested] == [("first", draft)]
    assert [(options.model, options.draft) for options in spare.requested] == [("second", None)]
