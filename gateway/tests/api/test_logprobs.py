"""`include[]=logprobs`: the tokens of the text with their log-probabilities, where the engine has them."""

import pytest
from rapl_protocol.testing import FakeTranscriber
from rapl_protocol.transcript import TokenLogprob, Transcript


class ReportsTokens(FakeTranscriber):
    """An engine that reports the tokens of its texts; not of the calls in `without`, from 1."""

    def __init__(self, *without: int) -> None:
        super().__init__("rapl/selftest", text="caf\u00e9 {n}")
        self._without = without

    async def transcribe(self, audio, options, on_text=None) -> Transcript:
        transcript = await super().transcribe(audio, options, on_text)
        if not options.logprobs or len(self.calls) in self._without:
            return transcript
        first, second = transcript.text.split()
        tokens = (TokenLogprob(token=first, logprob=-0.25), TokenLogprob(token=f" {second}", logprob=-1.5))
        return transcript.model_copy(update={"logprobs": tokens})


def sent(*numbers: int) -> list[dict[str, object]]:
    return [
        token
        for number in numbers
        for token in (
            {"token": "caf\u00e9", "logprob": -0.25, "bytes": [99, 97, 102, 195, 169]},
            {"token": f" {number}", "logprob": -1.5, "bytes": [32, 48 + number]},
        )
    ]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("media", "numbers"), [(None, (1,)), (b"MEDIA:3", (1, 2, 3))])
async def test_the_sdk_reads_the_tokens_of_all_segments(start, media, numbers, stream):
    fleet = await start(ReportsTokens())
    answer = await fleet.openai.audio.transcriptions.create(
        file=media or fleet.speech.to_wav(), model="rapl/selftest", include=["logprobs"], stream=stream
    )
    last = [event async for event in answer][-1] if stream else answer

    assert [token.model_dump() for token in last.logprobs] == sent(*numbers)


async def test_they_are_left_out_if_they_are_not_known_for_all_of_the_text(start):
    fleet = await start(ReportsTokens(2))

    answer = await fleet.transcribe(b"MEDIA:3", model="rapl/selftest", **{"include[]": "logprobs"})

    assert "logprobs" not in answer.json()


@pytest.mark.parametrize("fields", [{}, {"include[]": "logprobs", "response_format": "verbose_json"}])
async def test_they_are_only_in_json_and_only_on_request(start, fields):
    fleet = await start(ReportsTokens())

    answer = await fleet.transcribe(model="rapl/selftest", **fields)

    assert "logprobs" not in answer.json()


async def test_audio_without_speech_has_no_tokens(start):
    fleet = await start(ReportsTokens())
    fleet.preprocess.speech_s = 0.0

    answer = await fleet.transcribe(model="rapl/selftest", **{"include[]": "logprobs"})

    assert (answer.json()["text"], answer.json()["logprobs"]) == ("", [])
