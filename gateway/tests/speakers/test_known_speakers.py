"""Known speakers: the spellings of their fields, their names in the answer, and every wrong clip."""

import base64
import json

import pytest
from rapl_protocol.speakers import unusable_reference
from rapl_protocol.testing import make_tone
from speakers.conversation import DIARIZING, data_url, diarize, said, turns

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
