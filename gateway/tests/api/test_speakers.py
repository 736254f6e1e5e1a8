"""Answers that tell speakers apart, in every format that can; speaker-service is a stand-in that is told its turns."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import openai
import pytest
from openai.types.audio import TranscriptionDiarized
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import Capabilities, ModelState
from rapl_protocol.speakers import SpeakerTurn, unusable_reference
from rapl_protocol.testing import FakeTranscriber, make_tone
from rapl_protocol.transcript import Word
from rapl_service.testing import FakeSpeakerService, served, until
from scrapes import scraped, value

DIARIZING = "gpt-4o-transcribe-diarize"
CLIP = make_tone(3.0)


def first(number: int) -> str:
    return f"The people in the first half say hello {number},"


def second(number: int) -> str:
    return f"and those in the second half say goodbye {number}."


class Talker(FakeTranscriber):
    """An engine that writes two halves of a sentence, with the times of words: from 0.5 s and from 5 s on. Without the
    times of words it writes the first half."""

    def __init__(self, *, words: bool = True, streams: bool = False) -> None:
        super().__init__(
            "iic/SenseVoiceSmall",
            text="The people in the first half say hello {n},"
            + (" and those in the second half say goodbye {n}." if words else ""),
            streams=streams,
            capabilities=Capabilities(word_timestamps=words, prompt=True),
        )

    async def transcribe(self, audio, options, on_text=None):
        transcript = await super().transcribe(audio, options, on_text)
        if not options.word_timestamps:
            return transcript
        spoken = transcript.text.split()
        starts_s = [0.5 + 0.35 * n if n < 9 else 5.0 + 0.35 * (n - 9) for n in range(len(spoken))]
        words = tuple(
            Word(word=word.strip(",."), start_s=start_s, end_s=start_s + 0.3)
            for word, start_s in zip(spoken, starts_s, strict=True)
        )
        [segment] = transcript.segments
        return transcript.model_copy(update={"segments": (segment.model_copy(update={"words": words}),)})


def turns(*times: tuple[float, float, int], references: dict[int, int] | None = None) -> tuple[SpeakerTurn, ...]:
    return tuple(
        SpeakerTurn(start_s=start_s, end_s=end_s, speaker=who, reference=(references or {}).get(who))
        for start_s, end_s, who in times
    )


TWO = turns((0.0, 4.0, 0), (5.0, 13.0, 1), (14.0, 18.0, 0))
"""Two people in two segments of 9 s: the first one begins and ends."""
SAID = [("A", first(1)), ("B", second(1)), ("B", first(2)), ("A", second(2))]
TEXT = " ".join(text for _, text in SAID)


@pytest.fixture
async def fleet(start: Callable[..., Awaitable], speakers: FakeSpeakerService):
    speakers.turns = TWO
    return await start(Talker(), speakers_url=speakers.url)


async def diarize(fleet, file: bytes = b"SPEECH:2", **fields) -> httpx.Response:
    return await fleet.transcribe(file, **({"response_format": "diarized_json"} | fields))


def said(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(each["speaker"], each["text"]) for each in answer.json()["segments"]]


def data_url(audio: WavAudio = CLIP, kind: bytes = b"CLIP:") -> str:
    return "data:audio/wav;base64," + base64.b64encode(kind + audio.to_wav()).decode()


async def test_the_sdks_own_type_holds_the_answer(fleet):
    answer = await fleet.openai.audio.transcriptions.create(
        file=b"SPEECH:2", model=DIARIZING, response_format="diarized_json", chunking_strategy="auto"
    )

    assert isinstance(answer, TranscriptionDiarized)
    checked = TranscriptionDiarized.model_validate(answer.model_dump(), strict=True)
    assert (checked.task, checked.duration) == ("transcribe", 18.0)
    assert checked.usage == answer.usage
    assert answer.usage.model_dump() == {"type": "duration", "seconds": 18}
    assert [(each.speaker, each.text) for each in checked.segments] == SAID
    assert [each.id for each in checked.segments] == ["seg_001", "seg_002", "seg_003", "seg_004"]
    assert [(each.start, each.end) for each in checked.segments] == [(0.0, 3.6), (5.0, 9.0), (9.0, 12.6), (14.0, 18.0)]


async def test_the_text_is_that_of_an_answer_without_speakers(fleet):
    with_speakers, without = await diarize(fleet), await fleet.transcribe(b"SPEECH:2")

    # The fake engine numbers its calls.
    assert with_speakers.json()["text"] == TEXT
    assert without.json()["text"] == TEXT.replace("2", "4").replace("1", "3")


async def test_speaker_service_gets_the_speech_and_the_request_id(fleet, speakers):
    answer = await diarize(fleet, num_speakers="3")

    assert [(part.start_s, part.audio.duration_s) for part in speakers.speech] == [(0.0, 9.0), (9.0, 9.0)]
    [options] = speakers.options
    assert (options.speakers, options.references) == (3, 0)
    assert speakers.headers[0]["x-request-id"] == answer.headers["x-request-id"]


async def test_a_short_clip_whose_speech_is_found_late_has_speakers_too(fleet, speakers):
    answer = await diarize(fleet, b"LATE:1")

    assert said(answer) == SAID[:2]
    assert [(part.start_s, part.audio.duration_s) for part in speakers.speech] == [(0.0, 9.0)]


async def test_without_the_times_of_words_the_audio_is_cut_where_the_speaker_changes(start, speakers):
    speakers.turns = TWO
    fleet = await start(Talker(words=False), speakers_url=speakers.url)

    answer = await diarize(fleet)

    lengths = [audio.duration_s for audio, _ in fleet.sensevoice.calls]
    assert sorted(lengths) == [4.5, 4.5, 4.5, 4.5]
    assert [each["speaker"] for each in answer.json()["segments"]] == ["A", "B", "B", "A"]
    assert [each["start"] for each in answer.json()["segments"]] == [0.0, 4.5, 9.0, 13.5]
    assert answer.json()["coverage"] == 1.0


async def test_another_servers_model_is_cut_there_too(start, speakers, tmp_path):
    speakers.turns = TWO
    other = await start(Talker(words=False))
    (tmp_path / "rapl.toml").write_text(
        f'[backends.other]\nurl = "{other.url}/v1"\nkind = "openai"\n[models."iic/SenseVoiceSmall"]\nbackend = "other"'
    )
    fleet = await start(speakers_url=speakers.url)

    answer = await diarize(fleet)

    assert [each["speaker"] for each in answer.json()["segments"]] == ["A", "B", "B", "A"]


async def test_an_alias_of_the_catalog_file_says_which_engine_serves_openais_name(start, speakers, tmp_path):
    (tmp_path / "rapl.toml").write_text(f'[aliases]\n"{DIARIZING}" = "mlx-community/Qwen3-ASR-1.7B-8bit"')
    fleet = await start(speakers_url=speakers.url)

    answer = await diarize(fleet, model=DIARIZING)

    assert answer.json()["segments"][0]["text"].startswith("mlx ")


async def test_silence_has_no_segments(fleet, speakers):
    answer = await diarize(fleet, b"SPEECH:0")

    assert (answer.json()["segments"], answer.json()["text"]) == ([], "")
    assert speakers.speech == []


async def test_a_request_without_speakers_does_not_reach_speaker_service(fleet, speakers):
    answer = await fleet.transcribe(b"SPEECH:2", model=DIARIZING)

    assert answer.json()["text"]
    assert speakers.options == []


async def test_requests_with_speakers_let_all_others_go_first(fleet):
    await diarize(fleet)
    await fleet.transcribe(b"SPEECH:2")

    assert [options.is_long for _, options in fleet.sensevoice.calls] == [True, True, False, False]


@pytest.mark.parametrize("streams", [False, True])
async def test_a_stream_has_the_text_at_once_and_the_segments_before_its_end(start, speakers, streams):
    speakers.turns = TWO
    fleet = await start(Talker(streams=streams), speakers_url=speakers.url)

    stream = await fleet.openai.audio.transcriptions.create(
        file=b"SPEECH:2", model=DIARIZING, response_format="diarized_json", chunking_strategy="auto", stream=True
    )
    events = [event async for event in stream]

    kinds = [event.type.rpartition(".")[2] for event in events]
    assert kinds == ["delta"] * (36 if streams else 2) + ["segment"] * 4 + ["done"]
    assert [(event.speaker, event.text) for event in events if event.type.endswith("segment")] == SAID
    assert "".join(event.delta for event in events if event.type.endswith("delta")) == events[-1].text


async def test_the_text_of_a_stream_does_not_wait_for_the_speakers(start):
    """The service reads everything and does not answer before the client has the whole text."""
    may_answer = asyncio.Event()

    class Slow(FakeSpeakerService):
        async def _diarize(self, request):
            response = await super()._diarize(request)
            await may_answer.wait()
            return response

    async with served_speakers(Slow()) as speakers:
        speakers.turns = TWO
        fleet = await start(Talker(), speakers_url=speakers.url)
        stream = aiter(
            await fleet.openai.audio.transcriptions.create(
                file=b"SPEECH:2", model=DIARIZING, response_format="diarized_json", stream=True
            )
        )

        assert [(await anext(stream)).type for _ in range(2)] == ["transcript.text.delta"] * 2
        may_answer.set()
        assert [event.type async for event in stream][-1] == "transcript.text.done"


@asynccontextmanager
async def served_speakers(service: FakeSpeakerService) -> AsyncIterator[FakeSpeakerService]:
    async with served(service.app()) as service.url:
        yield service


async def test_verbose_json_names_speakers_if_asked(fleet):
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": ["segment", "word"]}
    named = (await fleet.transcribe(b"SPEECH:2", speaker_labels="true", **fields)).json()
    plain = (await fleet.transcribe(b"SPEECH:2", **fields)).json()

    assert [(each["id"], each["speaker"], each["text"].strip()) for each in named["segments"]] == [
        (number, *each) for number, each in enumerate(SAID)
    ]
    assert len(named["words"]) == len(plain["words"]) == 36
    assert [each.keys() & {"speaker"} for each in plain["segments"]] == [set(), set()]


async def test_srt_names_the_speaker_of_each_cue(fleet):
    answer = await fleet.transcribe(b"SPEECH:2", response_format="srt", speaker_labels="true")

    cues = [" ".join(block.split("\n")[2:]) for block in answer.text.strip().split("\n\n")]
    assert {cue[:3] for cue in cues} == {"A: ", "B: "}
    assert " ".join(cue[3:] for cue in cues) == TEXT
    assert all(len(line) <= 42 for line in answer.text.split("\n"))


@pytest.mark.parametrize("rules", [{}, {"subtitle_rules": "off"}, {"subtitle_unit": "word"}])
async def test_no_cue_has_the_words_of_two_people(fleet, rules):
    answer = await fleet.transcribe(b"SPEECH:2", response_format="vtt", speaker_labels="true", **rules)

    cues = [" ".join(block.split("\n")[1:]) for block in answer.text.strip().split("\n\n")[1:]]
    of_speakers = {
        speaker: " ".join(cue[5:] for cue in cues if cue.startswith(f"<v {speaker}>")) for speaker in ("A", "B")
    }
    texts = {speaker: " ".join(text for who, text in SAID if who == speaker) for speaker in ("A", "B")}
    if "subtitle_unit" in rules:
        texts = {speaker: text.replace(",", "").replace(".", "") for speaker, text in texts.items()}
    assert of_speakers == texts


async def test_vtt_escapes_names_and_texts_of_known_speakers(start, speakers):
    speakers.turns = turns((0.0, 9.0, 0), references={0: 0})
    engine = FakeTranscriber("iic/SenseVoiceSmall", text="a < b & c")
    fleet = await start(engine, speakers_url=speakers.url)
    known = {"known_speaker_names[]": "Ada & <Co>", "known_speaker_references[]": data_url()}

    answer = await fleet.transcribe(b"SPEECH:1", response_format="vtt", speaker_labels="true", **known)

    assert answer.text.split("\n")[3] == "<v Ada &amp; &lt;Co&gt;>a &lt; b &amp; c"


async def test_subtitles_beside_segments_name_speakers_too(fleet):
    fields = {"response_format": "verbose_json", "include[]": "subtitles", "speaker_labels": "true"}

    subtitles = (await fleet.transcribe(b"SPEECH:2", **fields)).json()["subtitles"]

    assert "\nA: The people" in subtitles["srt"]
    assert "\n<v A>The people" in subtitles["vtt"]


SPELLINGS = {
    "bracket": lambda names, clips: {"known_speaker_names[]": names, "known_speaker_references[]": clips},
    "numbered": lambda names, clips: {
        **{f"known_speaker_names[{n}]": name for n, name in enumerate(names)},
        **{f"known_speaker_references[{n}]": clip for n, clip in enumerate(clips)},
    },
    "plain": lambda names, clips: {
        "known_speaker_names": ",".join(names),
        "known_speaker_references": ",".join(clips),
    },
    "json": lambda names, clips: {
        "known_speaker_names": json.dumps(names),
        "known_speaker_references": json.dumps(clips),
    },
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_known_speakers_have_their_names_and_the_others_letters(fleet, speakers, spelling):
    speakers.turns = turns((0.0, 4.0, 0), (5.0, 13.0, 1), (14.0, 18.0, 0), references={1: 1})
    fields = SPELLINGS[spelling](["Ada", "Grace"], [data_url(), data_url(make_tone(2.0))])

    answer = await diarize(fleet, **fields)

    assert [speaker for speaker, _ in said(answer)] == ["A", "Grace", "Grace", "A"]
    assert [each.audio.duration_s for each in speakers.references] == [3.0, 2.0]


async def test_known_speakers_in_a_json_body(fleet, speakers):
    speakers.turns = turns((0.0, 18.0, 0), references={0: 0})
    body = {
        "input_audio": {"data": base64.b64encode(b"SPEECH:2").decode(), "format": "wav"},
        "response_format": "diarized_json",
        "known_speaker_names": ["Ada"],
        "known_speaker_references": [data_url(make_tone(10.0)) + " " * 1_500_000],
    }

    answer = await fleet.http.post("/v1/audio/transcriptions", json=body)

    assert {speaker for speaker, _ in said(answer)} == {"Ada"}


async def test_the_sdk_sends_known_speakers(fleet, speakers):
    speakers.turns = turns((0.0, 18.0, 0), references={0: 0})

    answer = await fleet.openai.audio.transcriptions.create(
        file=b"SPEECH:2",
        model=DIARIZING,
        response_format="diarized_json",
        chunking_strategy="auto",
        known_speaker_names=["agent"],
        known_speaker_references=[data_url()],
    )

    assert {each.speaker for each in answer.segments} == {"agent"}


def known(name: str = "SecretName", clip: str | None = None) -> dict[str, str]:
    return {"known_speaker_names[]": name, "known_speaker_references[]": clip or data_url()}


WRONG = {
    "too short": (known(clip=data_url(make_tone(1.0))), "known_speaker_references", "lasts 1.0 s"),
    "too long": (known(clip=data_url(make_tone(12.0))), "known_speaker_references", "lasts 12.0 s"),
    "far too long": (known(clip=data_url(kind=b"SPEECH:9")), "known_speaker_references", "longer than 10 s"),
    "not audio": (known(clip=data_url(kind=b"")), "known_speaker_references", "not audio"),
    "no data URL": (known(clip="UklGRg=="), "known_speaker_references", "data URL"),
    "no base64": (known(clip="data:audio/wav;base64,?"), "known_speaker_references", "not base64"),
    "a web address": (known(clip="https://example.com/a.wav"), "known_speaker_references", "data URL"),
    "a name without a clip": ({"known_speaker_names[]": "SecretName"}, "known_speaker_references", "needs one clip"),
    "a clip without a name": ({"known_speaker_references[]": data_url()}, "known_speaker_names", "needs one clip"),
    "five": (
        {"known_speaker_names[]": list("abcde"), "known_speaker_references[]": [data_url()] * 5},
        "known_speaker_names",
        "more than 4",
    ),
    "one twice": (
        {"known_speaker_names[]": ["SecretName"] * 2, "known_speaker_references[]": [data_url()] * 2},
        "known_speaker_names",
        "the same",
    ),
    "a name of two lines": (known("Secret\nName"), "known_speaker_names", "one line"),
    "a long name": (known("SecretName" * 11), "known_speaker_names", "one line"),
}


@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_reference_is_a_400_that_says_what_is_wrong(fleet, case, stream, caplog):
    fields, param, part = WRONG[case]

    answer = await diarize(fleet, stream=stream, **fields)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_request", param)
    assert part in error["message"]
    assert "SecretName" not in error["message"] + caplog.text
    assert fleet.sensevoice.calls == []


@pytest.mark.parametrize(("speech_s", "part"), [(0.0, "no speech"), (0.4, "only 0.4 s of speech")])
async def test_a_silent_reference_is_a_400(fleet, speech_s, part):
    fleet.preprocess.speech_s = speech_s

    answer = await diarize(fleet, **known())

    assert answer.status_code == 400
    assert part in answer.json()["error"]["message"]


async def test_what_speaker_service_says_of_a_reference_is_said_of_openais_field(fleet, speakers):
    speakers.fails_with = unusable_reference(1, "has two voices.")
    fields = {"known_speaker_names[]": ["a", "b"], "known_speaker_references[]": [data_url()] * 2}

    answer = await diarize(fleet, **fields)

    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "known_speaker_references")
    assert error["message"] == "'known_speaker_references[1]' has two voices."


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"include[]": "logprobs"}, "include"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"prompt": "A talk", "model": DIARIZING}, "prompt"),
        ({"response_format": "json", "include[]": "logprobs", "model": DIARIZING}, "include"),
    ],
)
async def test_what_openai_refuses_with_speakers_is_refused(fleet, fields, param):
    answer = await diarize(fleet, **fields)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", param)


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp_granularities[]": "segment"},
        {"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "0.4"},
        {"prompt": "A talk", "model": "iic/SenseVoiceSmall"},
        {"speaker_labels": "true"},
    ],
)
async def test_what_clients_send_with_speakers_is_accepted(fleet, fields):
    assert said(await diarize(fleet, **fields)) == SAID


async def test_a_translation_has_no_speakers(fleet):
    files = {"file": ("speech.wav", b"SPEECH:1")}
    answer = await fleet.http.post("/v1/audio/translations", data={"response_format": "diarized_json"}, files=files)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "response_format")


@pytest.mark.parametrize("stream", ["false", "true"])
async def test_without_a_speaker_service_a_request_for_speakers_says_how_to_get_one(start, stream):
    answer = await diarize(await start(), stream=stream)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "response_format")
    assert "./rapl up --speakers" in error["message"]
    assert "RAPL_SPEAKERS_URL" in error["message"]


@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize("words", [True, False])
async def test_a_speaker_service_that_is_down_is_a_503_that_says_how_to_start_it(start, stream, words):
    fleet = await start(Talker(words=words), speakers_url="http://127.0.0.1:9")

    answer = await diarize(fleet, stream=stream)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "backend_unavailable")
    assert "./rapl up --speakers" in error["message"]
    assert fleet.sensevoice.calls == []


@asynccontextmanager
async def dying_service() -> AsyncIterator[str]:
    """A service that closes every connection after the first bytes of a body."""

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.transport.abort()

    async with await asyncio.start_server(die, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("words", [True, False])
async def test_a_speaker_service_that_dies_in_the_middle_is_a_503(start, words):
    async with dying_service() as url:
        answer = await diarize(await start(Talker(words=words), speakers_url=url), b"SPEECH:40")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
    assert "closed the connection" in answer.json()["error"]["message"]


async def test_a_stream_says_that_the_speakers_are_lost_after_its_text(start, speakers):
    speakers.fails_with = ServiceError(ErrorCode.MODEL_NOT_READY, "it went away")
    fleet = await start(Talker(), speakers_url=speakers.url)

    stream = await fleet.openai.audio.transcriptions.create(
        file=b"SPEECH:2", model=DIARIZING, response_format="diarized_json", stream=True
    )
    texts: list[str] = []

    async def read() -> None:
        async for event in stream:
            texts.append(event.delta)

    with pytest.raises(openai.APIError, match="it went away"):
        await read()
    assert "".join(texts) == TEXT


async def test_the_client_sends_the_token(start, speakers):
    fleet = await start(Talker(), speakers_url=speakers.url, speakers_token="secret")

    await diarize(fleet)

    assert speakers.headers[0]["authorization"] == "Bearer secret"


async def test_the_models_say_whether_speakers_can_be_told_apart(start, speakers):
    async def can(fleet) -> set[bool]:
        models = (await fleet.http.get("/v1/models")).json()["data"]
        return {model["capabilities"]["speakers"] for model in models if "capabilities" in model}

    with_service, without = await start(speakers_url=speakers.url), await start()

    await until(lambda: speakers.polls)
    assert await can(with_service) == {True}
    assert await can(without) == {False}


async def test_openais_name_is_listed_if_there_is_a_speaker_service(start, speakers):
    async def names(fleet) -> list[str]:
        return [model.id async for model in fleet.openai.models.list()]

    with_service, down = await start(speakers_url=speakers.url), await start(speakers_url="http://127.0.0.1:9")
    await until(lambda: speakers.polls)

    assert DIARIZING in await names(with_service)
    assert DIARIZING not in await names(down)


async def test_the_status_has_the_service_and_its_problems(start, speakers):
    speakers.state = ModelState.LOADING
    fleet = await start(speakers_url=speakers.url)
    down, without = await start(speakers_url="http://127.0.0.1:9"), await start()

    async def status(fleet) -> dict:
        return (await fleet.http.get("/v1/status")).json()

    await until(lambda: speakers.polls)
    found = await status(fleet)
    assert (found["speakers"]["state"], found["speakers"]["version"]) == ("ok", "0.0.1")
    [problem] = [each for each in found["problems"] if each["subject"] == "speaker-service"]
    assert problem["status"] == "warning"
    assert "loading" in problem["reason"]
    [problem] = [each for each in (await status(down))["problems"] if each["subject"] == "speaker-service"]
    assert problem["status"] == "skipped"
    assert "./rapl up --speakers" in problem["remedy"]
    assert (await status(without))["speakers"] is None


async def test_the_metrics_count_what_fails_at_the_service(start, speakers):
    speakers.fails_with = ServiceError(ErrorCode.OVERLOADED, "too much")
    fleet = await start(Talker(), speakers_url=speakers.url)

    assert (await diarize(fleet)).status_code == 429
    samples = await scraped(fleet.url)
    assert value(samples, "rapl_backend_failures_total", backend="speaker-service", code="overloaded") == 1
    assert value(samples, "rapl_replicas", backend="speaker-service") == 1
    assert value(samples, "rapl_stage_seconds_count", stage="speakers") == 1
