"""The FastAPI application: what every engine has, and the two routes of speakers."""

from fastapi import FastAPI, Request, Response
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import MAX_SEGMENT_S
from rapl_protocol.speakers import DIARIZATIONS_PATH, EMBEDDINGS_PATH, SPEAKERS_MODEL, decode_diarization_request
from rapl_protocol.wire import segment_too_long
from rapl_service.engine_app import engine_app, read_segment
from rapl_service.http.disconnect import cancel_on_disconnect
from rapl_service.http.scope import log_fields
from rapl_service.listening.access import Access
from starlette.middleware import Middleware

from rapl_speakers.service import SpeakerService
from rapl_speakers.settings import Settings
from rapl_speakers.weights import SpeakerWeights


def create_app(settings: Settings) -> FastAPI:
    weights = SpeakerWeights(settings.model_dir)
    return speakers_app(SpeakerService(weights, settings.rules, settings.threads, settings.max_queue), settings)


def speakers_app(service: SpeakerService, settings: Settings) -> FastAPI:
    name = "speaker-service"
    access = Middleware(
        Access, service=name, prefix="RAPL_SPEAKERS_", token=settings.token, names=settings.allowed_hosts
    )
    app = engine_app(service, [access], settings.metrics, name)

    @app.post(DIARIZATIONS_PATH)
    async def diarize(request: Request) -> Response:
        fields = log_fields(request)
        fields.update(model=SPEAKERS_MODEL)
        events = decode_diarization_request(request.stream())
        found, speech_s = await cancel_on_disconnect(request, service.diarize(events))
        fields.update(audio_s=speech_s, speakers=len({turn.speaker for turn in found.turns}))
        return Response(found.model_dump_json(), media_type="application/json")

    @app.post(EMBEDDINGS_PATH)
    async def embed(request: Request) -> Response:
        audio = _wav(await read_segment(request))
        log_fields(request).update(model=SPEAKERS_MODEL, audio_s=audio.duration_s)
        found = await cancel_on_disconnect(request, service.embed(audio))
        return Response(found.model_dump_json(), media_type="application/json")

    return app


def _wav(body: bytes) -> WavAudio:
    try:
        audio = WavAudio.from_wav(body)
    except ValueError as error:
        raise ServiceError(ErrorCode.AUDIO_UNDECODABLE, str(error), param="file") from error
    if audio.duration_s > MAX_SEGMENT_S:
        raise segment_too_long()
    return audio
