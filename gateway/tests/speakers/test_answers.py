"""Answers in `diarized_json`: OpenAI's form, and what of the work is done for them."""

import pytest
from openai.types.audio import TranscriptionDiarized
from speakers.conversation import DIARIZING, SAID, TEXT, TWO, Talker, diarize, said


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


@pytest.mark.parametrize("size_bytes", [8, 3 << 20], ids=["in memory", "in a temporary file"])
async def test_without_the_times_of_words_the_audio_is_cut_where_the_speaker_changes(start, speakers, size_bytes):
    speakers.turns = TWO
    fleet = await start(Talker(words=False), speakers_url=speakers.url)

    answer = await diarize(fleet, b"SPEECH:2".ljust(size_bytes))

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
