"""Words are sent while a person speaks, never taken back, and the text of the turn is the text of a file."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest
from rapl_gateway.backends.catalog import ModelCatalog, Route
from rapl_gateway.gateway import Gateway, open_gateway
from rapl_gateway.metrics import TranscriptionMetrics
from rapl_gateway.realtime.figures import RealtimeMetrics, TurnFigures
from rapl_gateway.realtime.turn_text import TextDelta, TurnCompleted, TurnText, TurnTexts
from rapl_gateway.settings import Settings
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import Capabilities
from rapl_protocol.prepared import SpeechCheck
from rapl_protocol.testing import FakeTranscriber, make_tone
from rapl_protocol.transcript import Decoding, Segment, TranscribeOptions, Transcript
from rapl_service.engine_app import transcriber_app
from rapl_service.telemetry.metrics import Metrics
from rapl_service.testing import served, until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as HttpRoute

MODEL = "iic/SenseVoiceSmall"
ROUTE = Route(MODEL, MODEL, "sensevoice")
WORD_S = 0.5
WORDS = [f"{first}{second}" for first in "bdfgklmnprst" for second in ("a", "e", "i", "o", "u", "ay", "ee", "oo")]
MARK = b"\x39\x30\xc7\xcf"
TONE, PAUSE = make_tone(0.4).pcm, bytes(3200)


def spoken(first: int, count: int) -> bytes:
    """Audio of so many of WORDS: each is a tone that begins with its number, and a pause of a tenth of a second."""
    return b"".join(MARK + number.to_bytes(2, "little") + TONE[6:] + PAUSE for number in range(first, first + count))


def heard(pcm: bytes) -> list[str]:
    """The words whose beginning is in the audio."""
    marks = pcm.split(MARK)[1:]
    return [WORDS[int.from_bytes(mark[:2], "little")] for mark in marks if len(mark) > 2]


class ListeningEngine(FakeTranscriber):
    """A fake engine that understands `spoken` audio."""

    def __init__(self, **settings) -> None:
        super().__init__(MODEL, **settings)
        self.may_answer = asyncio.Event()
        """Until this is set, no call returns."""
        self.may_answer.set()
        self.logprob: float | None = None
        """The mean log-probability that it reports."""
        self.misheard: dict[str, str] = {}
        """What passes over open turns write instead of some words."""

    async def transcribe(self, audio, options, on_text=None):
        self.calls.append((audio, options))
        await self.may_answer.wait()
        if self.fails_with:
            raise self.fails_with
        words = heard(bytes(audio.pcm))
        if options.is_long:
            words = [self.misheard.get(word, word) for word in words]
        if on_text and self.streams:
            for word in words:
                on_text(f" {word}")
                await asyncio.sleep(0)
        text = " ".join(words)
        decoding = None if self.logprob is None else Decoding(avg_logprob=self.logprob)
        segment = Segment(start_s=0.0, end_s=audio.duration_s, text=text, language=self.language, decoding=decoding)
        return Transcript(text=text, language=self.language, duration_s=audio.duration_s, segments=(segment,))

    @property
    def passes(self) -> int:
        """Calls for turns that were still open."""
        return sum(options.is_long for _, options in self.calls)

    @property
    def final_lengths_s(self) -> list[float]:
        """The seconds of audio of the other calls."""
        return [audio.duration_s for audio, options in self.calls if not options.is_long]


class Speaker:
    """Someone who speaks into one turn, and what was answered so far."""

    def __init__(self, turn: TurnText) -> None:
        self.turn = turn
        self.deltas: list[str] = []
        self.completed: TurnCompleted | None = None
        self._said = 0
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async with aclosing(self.turn.events()) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    self.deltas.append(event.text)
                else:
                    self.completed = event

    def say(self, count: int) -> None:
        """Says the next words, faster than anybody could."""
        self.turn.append(spoken(self._said, count))
        self._said += count

    async def finish(self) -> TurnCompleted:
        """Raises: ServiceError."""
        self.turn.commit()
        async with asyncio.timeout(20):
            await self._listening
        assert self.completed
        assert "".join(self.deltas) == self.completed.transcript
        return self.completed

    @property
    def said(self) -> str:
        return " ".join(WORDS[: self._said])

    @property
    def text(self) -> str:
        return "".join(self.deltas)

    @property
    def has_ended(self) -> bool:
        return self._listening.done()

    async def close(self) -> None:
        await self.turn.close()
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)


class Listening:
    """A gateway, the engine behind it, and the turns that a test begins."""

    def __init__(self, gateway: Gateway, engine: ListeningEngine, stack: AsyncExitStack) -> None:
        self.gateway = gateway
        self.engine = engine
        self._texts = TurnTexts(gateway.backends, gateway.pipeline, gateway.settings)
        self._stack = stack

    def begin(self, *, options: TranscribeOptions | None = None, **settings: Any) -> Speaker:
        options = options or TranscribeOptions(model=MODEL)
        speaker = Speaker(self._texts.begin(options, ROUTE, "client", request_id="request", **settings))
        self._stack.push_async_callback(speaker.close)
        return speaker

    async def passed(self, count: int) -> None:
        """Waits until the engine has so many calls for open turns."""
        await until(lambda: self.engine.passes >= count)

    @property
    def queued_s(self) -> float:
        return self.gateway.backends["sensevoice"].scheduler.queued.total_s


Start = Callable[..., Awaitable[Listening]]


async def no_speech(_: Request) -> Response:
    return JSONResponse(SpeechCheck(speech=()).model_dump())


@pytest.fixture
async def start(tmp_path) -> AsyncIterator[Start]:
    config = tmp_path / "rapl.toml"
    config.touch()
    async with AsyncExitStack() as stack:

        async def start_gateway(engine: ListeningEngine | None = None, speech_detection: str = "off") -> Listening:
            engine = engine or ListeningEngine()
            no_detector = Starlette(routes=[HttpRoute("/v1/speech", no_speech, methods=["POST"])])
            settings = Settings(
                sensevoice_url=await stack.enter_async_context(served(transcriber_app(engine))),
                preprocess_url=await stack.enter_async_context(served(no_detector)),
                config=config,
                speech_detection=speech_detection,
            )
            gateway = await stack.enter_async_context(open_gateway(settings, ModelCatalog.load(settings), None))
            await gateway.backends.first_poll()
            return Listening(gateway, engine, stack)

        yield start_gateway


async def test_words_are_sent_while_the_turn_is_open(start: Start):
    listening = await start()
    speaker = listening.begin()
    for passes in range(1, 6):
        speaker.say(4)
        await listening.passed(passes)
    await until(lambda: len(speaker.text.split()) >= 12)

    assert (await speaker.finish()).transcript == speaker.said


async def test_what_passes_disagree_on_is_not_sent_before_the_end(start: Start):
    listening = await start()
    listening.engine.misheard[WORDS[5]] = "{n}"
    speaker = listening.begin()
    speaker.say(8)
    await listening.passed(1)
    listening.engine.misheard[WORDS[5]] = "otherwise"
    speaker.say(8)
    await listening.passed(2)
    await until(lambda: speaker.text)
    speaker.say(1)

    assert speaker.text == " ".join(WORDS[:5])
    assert (await speaker.finish()).transcript == speaker.said


async def test_words_that_were_sent_stay_and_the_disagreement_is_counted(start: Start):
    listening = await start()
    listening.engine.misheard[WORDS[2]] = "otherwise"
    speaker = listening.begin()
    for passes in (1, 2):
        speaker.say(8)
        await listening.passed(passes)
    await until(lambda: speaker.text)
    speaker.say(1)
    completed = await speaker.finish()

    assert completed.transcript == speaker.said.replace(WORDS[2], "otherwise", 1)
    assert completed.disagreed == 1
    assert completed.settled == 8


async def test_if_only_silence_follows_a_pass_its_text_is_the_final_one(start: Start):
    listening = await start()
    speaker = listening.begin()
    speaker.say(6)
    speaker.turn.append(bytes(16_000))
    await listening.passed(1)
    speaker.turn.append(bytes(16_000))

    assert (await speaker.finish()).transcript == speaker.said
    assert listening.engine.final_lengths_s == []


async def test_a_pass_begins_in_the_first_quiet_moment_and_is_repeated_in_a_longer_pause(start: Start):
    listening = await start()
    speaker = listening.begin()
    speaker.say(3)
    await listening.passed(1)
    speaker.turn.append(bytes(3_200))
    await asyncio.sleep(0.1)
    assert listening.engine.passes == 1
    speaker.turn.append(bytes(6_400))
    await listening.passed(2)
    speaker.turn.append(bytes(6_400))

    assert (await speaker.finish()).transcript == speaker.said
    assert [audio.duration_s for audio, _ in listening.engine.calls] == [1.5, 1.8]


async def test_a_commit_does_not_wait_for_a_pass_that_only_has_more_quiet_audio(start: Start):
    listening = await start()
    speaker = listening.begin()
    speaker.say(3)
    await listening.passed(1)
    listening.engine.may_answer.clear()
    speaker.turn.append(bytes(9_600))
    await listening.passed(2)

    assert (await speaker.finish()).transcript == speaker.said


async def test_while_another_turn_has_a_pass_a_short_pause_begins_none(start: Start):
    listening = await start()
    other, speaker = listening.begin(), listening.begin()
    speaker.say(3)
    await listening.passed(1)
    listening.engine.may_answer.clear()
    other.say(3)
    await listening.passed(2)
    speaker.turn.append(MARK + (3).to_bytes(2, "little") + make_tone(0.2).pcm[6:] + bytes(1_600))
    listening.engine.may_answer.set()
    await asyncio.sleep(0.2)

    assert (await speaker.finish()).transcript == " ".join(WORDS[:4])
    assert (await other.finish()).transcript == other.said
    assert listening.engine.passes == 2


async def test_a_text_of_which_the_engine_is_not_sure_is_not_the_final_one(start: Start):
    listening = await start()
    listening.engine.logprob = -0.7
    speaker = listening.begin()
    speaker.say(6)
    await listening.passed(1)

    assert (await speaker.finish()).transcript == speaker.said
    assert listening.engine.final_lengths_s == [3.0]


async def test_after_a_loud_bump_soft_words_are_not_taken_for_silence(start: Start):
    listening = await start()
    speaker = listening.begin()
    speaker.turn.append(make_tone(0.5, amplitude=1.0).pcm)
    speaker.say(3)
    await listening.passed(1)
    noise = make_tone(1.0, amplitude=0.002).pcm
    speaker.turn.append(noise)
    await listening.passed(2)
    speaker.turn.append(MARK + (3).to_bytes(2, "little") + make_tone(0.5, amplitude=0.02).pcm)

    assert (await speaker.finish()).transcript == " ".join(WORDS[:4])


async def test_a_pass_that_runs_at_the_commit_is_awaited_if_it_has_all_words(start: Start):
    listening = await start()
    listening.engine.may_answer.clear()
    speaker = listening.begin()
    speaker.say(6)
    await listening.passed(1)
    speaker.turn.commit()
    listening.engine.may_answer.set()

    assert (await speaker.finish()).transcript == speaker.said
    assert len(listening.engine.calls) == 1


async def test_the_final_pass_does_not_wait_for_a_pass_without_the_last_words(start: Start):
    listening = await start()
    listening.engine.may_answer.clear()
    speaker = listening.begin()
    speaker.say(6)
    await listening.passed(1)
    speaker.say(2)
    speaker.turn.commit()
    await until(lambda: listening.engine.final_lengths_s == [4.0])
    listening.engine.may_answer.set()

    assert (await speaker.finish()).transcript == speaker.said


async def test_without_deltas_there_is_only_the_final_pass(start: Start):
    listening = await start()
    speaker = listening.begin(has_deltas=False)
    speaker.say(20)

    assert (await speaker.finish()).transcript == speaker.said
    assert listening.engine.final_lengths_s == [10.0]
    assert speaker.deltas == [speaker.said]


async def test_an_engine_that_streams_words_sends_them_in_the_final_pass(start: Start):
    listening = await start(ListeningEngine(streams=True))
    speaker = listening.begin(has_deltas=False, streams_words=True)
    speaker.say(6)

    assert (await speaker.finish()).transcript == speaker.said
    assert len(speaker.deltas) > 2


async def test_a_turn_without_audio_is_empty_and_needs_no_engine(start: Start):
    listening = await start()

    assert (await listening.begin().finish()).transcript == ""
    assert listening.engine.calls == []


async def test_a_long_turn_is_cut_and_what_lies_before_the_cut_is_not_transcribed_again(start: Start):
    listening = await start()
    speaker = listening.begin()
    for _ in range(9):
        speaker.say(10)
        calls = len(listening.engine.calls)
        await until(lambda calls=calls: len(listening.engine.calls) > calls)
    speaker.say(2)
    completed = await speaker.finish()

    assert completed.transcript == speaker.said
    assert completed.duration_s == 46.0
    assert len(listening.engine.final_lengths_s) == 2
    assert sum(listening.engine.final_lengths_s) == 46.0
    assert max(audio.duration_s for audio, _ in listening.engine.calls) <= 30.0


async def test_much_audio_at_once_is_the_same_turn(start: Start):
    listening = await start()
    speaker = listening.begin()
    speaker.say(80)
    await until(lambda: listening.engine.calls)
    speaker.say(10)
    completed = await speaker.finish()

    assert completed.transcript == speaker.said
    assert max(audio.duration_s for audio, _ in listening.engine.calls) <= 30.0


async def test_passes_that_fail_cost_deltas_only(start: Start):
    listening = await start()
    listening.engine.fails_with = ServiceError(ErrorCode.INTERNAL, "it fails")
    speaker = listening.begin()
    speaker.say(6)
    await listening.passed(1)
    await asyncio.sleep(0.05)
    listening.engine.fails_with = None
    speaker.say(1)

    assert (await speaker.finish()).transcript == speaker.said


async def test_if_the_final_pass_fails_the_turn_fails(start: Start):
    listening = await start(ListeningEngine(fails_with=ServiceError(ErrorCode.INTERNAL, "it fails")))
    speaker = listening.begin()
    speaker.say(6)

    with pytest.raises(ServiceError):
        await speaker.finish()


async def test_a_turn_whose_beginning_fails_fails_after_its_commit(start: Start):
    listening = await start(ListeningEngine(fails_with=ServiceError(ErrorCode.INTERNAL, "it fails")))
    speaker = listening.begin(has_deltas=False)
    speaker.say(70)
    await until(lambda: listening.engine.calls)
    speaker.say(1)
    await asyncio.sleep(0.05)

    assert not speaker.has_ended
    with pytest.raises(ServiceError):
        await speaker.finish()


async def test_the_language_of_settled_words_is_the_language_of_the_turn(start: Start):
    listening = await start()
    listening.engine.language = "en"
    speaker = listening.begin()
    for passes in (1, 2, 3):
        speaker.say(8)
        await listening.passed(passes)
    await speaker.finish()

    assert [options.language for _, options in listening.engine.calls][:3] == [None, None, "en"]


async def test_each_pass_and_the_final_one_have_the_text_of_the_latest_pass_as_a_draft(start: Start):
    listening = await start(ListeningEngine(capabilities=Capabilities(drafts=True)))
    speaker = listening.begin()
    for passes in range(1, 4):
        speaker.say(3)
        await listening.passed(passes)
    speaker.say(3)
    await speaker.finish()

    drafts = [options.draft and options.draft.text for _, options in listening.engine.calls]
    assert drafts == [None, *(" ".join(WORDS[:count]) for count in (3, 6, 9))]


async def test_after_a_cut_a_draft_is_of_the_same_part_as_its_audio(start: Start):
    listening = await start(ListeningEngine(capabilities=Capabilities(drafts=True)))
    speaker = listening.begin()
    for _ in range(9):
        speaker.say(10)
        calls = len(listening.engine.calls)
        await until(lambda calls=calls: len(listening.engine.calls) > calls)
    await speaker.finish()

    drafted = [(heard(bytes(audio.pcm)), options.draft) for audio, options in listening.engine.calls if options.draft]
    assert {words[0] for words, _ in drafted} > {WORDS[0]}
    assert all(draft.text.split()[0] == words[0] for words, draft in drafted)


class StutteringEngine(ListeningEngine):
    """Writes a text without sense for the whole audio of a turn that has ended."""

    async def transcribe(self, audio, options, on_text=None):
        found = await super().transcribe(audio, options, on_text)
        if options.is_long or audio.duration_s < 5.0:
            return found
        text = "la " * 100
        return found.model_copy(
            update={"text": text, "segments": (found.segments[0].model_copy(update={"text": text}),)}
        )


async def test_pieces_of_a_doubted_text_get_no_draft_of_the_whole(start: Start):
    listening = await start(StutteringEngine(capabilities=Capabilities(drafts=True)))
    speaker = listening.begin()
    speaker.say(10)
    await listening.passed(1)
    speaker.say(4)
    await speaker.finish()

    first, *again = [options.draft for _, options in listening.engine.calls if not options.is_long]
    assert first
    assert again
    assert again == [None] * len(again)


async def test_a_model_that_does_not_use_drafts_gets_none(start: Start):
    listening = await start()
    speaker = listening.begin()
    speaker.say(3)
    await listening.passed(1)
    speaker.say(3)
    await speaker.finish()

    assert [options.draft for _, options in listening.engine.calls] == [None, None]


async def test_nothing_is_transcribed_before_speech_is_found(start: Start):
    listening = await start(speech_detection="on")
    speaker = listening.begin()
    speaker.say(8)

    assert (await speaker.finish()).transcript == ""
    assert listening.engine.passes == 0


async def test_a_clip_waits_for_one_pass_of_many_open_turns_and_comes_before_the_others(start: Start):
    listening = await start()
    engine = listening.engine
    engine.may_answer.clear()
    speakers = [listening.begin() for _ in range(20)]
    for speaker in speakers:
        speaker.say(8)
    await listening.passed(1)
    clip = listening.begin(has_deltas=False)
    clip.say(4)
    clip.turn.commit()
    await until(lambda: engine.final_lengths_s)

    assert engine.passes == 1
    assert listening.queued_s == 2.0, "the passes do not count for the limit of the queue"
    engine.may_answer.set()
    assert (await clip.finish()).transcript == clip.said
    for speaker in speakers:
        assert (await speaker.finish()).transcript == speaker.said


async def test_a_turn_that_is_closed_leaves_nothing_behind(start: Start):
    listening = await start()
    listening.engine.may_answer.clear()
    speaker = listening.begin()
    speaker.say(8)
    await listening.passed(1)
    await speaker.close()
    following = listening.begin()
    listening.engine.may_answer.set()
    following.say(8)

    assert (await following.finish()).transcript == following.said


class Measured:
    """The figures of one turn, as /metrics has them."""

    def __init__(self) -> None:
        metrics = Metrics(lambda _: True)
        self._registry = metrics.registry
        self.figures = TurnFigures("", RealtimeMetrics(metrics, TranscriptionMetrics(metrics)))

    def lags_s(self) -> tuple[float, float]:
        """Returns the number of lags and their sum."""
        values = [self._registry.get_sample_value(f"rapl_realtime_lag_seconds_{each}") for each in ("count", "sum")]
        return values[0] or 0.0, values[1] or 0.0

    def passes(self, outcome: str) -> float:
        return self._registry.get_sample_value("rapl_realtime_passes_total", {"outcome": outcome}) or 0.0


async def test_the_lag_is_the_audio_since_the_oldest_sound_that_no_earlier_pass_had(start: Start):
    listening, measured = await start(), Measured()
    listening.engine.may_answer.clear()
    speaker = listening.begin(figures=measured.figures)
    speaker.say(4)
    await listening.passed(1)
    speaker.say(2)  # 1 s, which the running pass does not have
    listening.engine.may_answer.set()
    await until(lambda: measured.lags_s()[0] == 2)

    assert measured.lags_s()[1] == pytest.approx(3.0 + 1.0, abs=0.06)
    assert measured.passes("text") == 2


async def test_passes_that_a_turn_leaves_out_because_the_engine_is_slow_are_counted(start: Start):
    listening, measured = await start(), Measured()
    listening.engine.may_answer.clear()
    speaker = listening.begin(figures=measured.figures)
    speaker.say(8)
    await listening.passed(1)
    await asyncio.sleep(0.8)  # so long the engine takes for 4 s of audio
    assert measured.passes("skipped") == 0
    listening.engine.may_answer.set()
    await until(lambda: measured.passes("text") == 1)
    while listening.engine.passes == 1:
        speaker.turn.append(TONE[:3200])  # no pause, in which a pass would begin at once
        await asyncio.sleep(0.02)

    assert measured.passes("skipped") >= 1


async def test_a_pass_over_audio_without_speech_is_counted_as_such(start: Start):
    listening, measured = await start(speech_detection="on"), Measured()
    listening.begin(figures=measured.figures).say(4)
    await until(lambda: measured.passes("no_speech") == 1)

    assert measured.lags_s()[0] == 0
    assert listening.engine.calls == []
