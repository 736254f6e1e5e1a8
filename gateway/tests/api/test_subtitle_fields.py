"""The request fields of subtitles, and the settings behind them."""

import pytest
from rapl_protocol.models import Capabilities
from rapl_protocol.testing import FakeTranscriber
from rapl_protocol.transcript import Segment, Transcript, Word
from subtitle_checker import cues_in

WORDS = ("Somebody", "said", "that", "this", "sentence", "is", "longer", "than", "one", "line", "of", "subtitles.")
ONE_CUE = ["Somebody said that this sentence is longer than one line of subtitles."]
TWO_LINES = ["Somebody said that this sentence", "is longer than one line of subtitles."]


class Talker(FakeTranscriber):
    """An engine with the times of words, if a request wants them."""

    async def transcribe(self, audio, options, on_text=None):
        self.calls.append((audio, options))
        words = tuple(Word(word=word, start_s=0.5 * n, end_s=0.5 * n + 0.5) for n, word in enumerate(WORDS))
        segment = Segment(start_s=0.0, end_s=6.0, text=" ".join(WORDS), language="en")
        if options.word_timestamps:
            segment = segment.model_copy(update={"words": words})
        return Transcript(text=segment.text, language="en", duration_s=audio.duration_s, segments=(segment,))


@pytest.fixture
async def talking(start):
    async def ask(settings: dict[str, object] | None = None, **fields: str) -> list[list[str]]:
        fleet = await start(Talker("iic/SenseVoiceSmall"), **(settings or {}))
        answer = await fleet.transcribe(b"SPEECH:1", **{"response_format": "srt", **fields})
        assert answer.status_code == 200, answer.text
        return [list(cue.lines) for cue in cues_in(answer.text)]

    return ask


@pytest.mark.parametrize("response_format", ["srt", "vtt"])
async def test_subtitles_keep_the_rules_without_a_field(talking, response_format):
    assert await talking(response_format=response_format) == [TWO_LINES]


async def test_the_rules_can_be_turned_off(talking):
    assert await talking(subtitle_rules="off") == [ONE_CUE]


async def test_the_rules_can_be_turned_off_for_the_server_and_on_for_a_request(talking):
    off = {"subtitle_rules": False}

    assert await talking(off) == [ONE_CUE]
    assert await talking(off, subtitle_rules="on") == [TWO_LINES]
    assert await talking(off, max_lines="2") == [TWO_LINES]


async def test_a_field_overrides_the_servers_rule(talking):
    settings = {"subtitle_max_line_chars": 100}

    assert await talking(settings) == [ONE_CUE]
    assert await talking(settings, max_line_chars="42") == [TWO_LINES]
    assert max(len(line) for cue in await talking(settings, max_line_chars="20") for line in cue) <= 20


async def test_one_cue_for_each_word_only_if_the_request_says_so(talking):
    assert await talking(subtitle_unit="word") == [[word] for word in WORDS]
    assert await talking(**{"timestamp_granularities[]": "word"}) == [TWO_LINES]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subtitle_rules", "maybe"),
        ("subtitle_unit", "letter"),
        ("max_line_chars", "0"),
        ("max_line_chars", "42.5"),
        ("max_lines", "many"),
        ("max_cue_s", "nan"),
        ("min_cue_s", "9"),
        ("max_chars_per_s", "-1"),
    ],
)
async def test_a_wrong_value_is_refused_by_name(fleet, field, value):
    answer = await fleet.transcribe(response_format="srt", **{field: value})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


async def test_a_model_without_the_times_of_words_gives_its_own_segments(start):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", text="some text", capabilities=Capabilities()))

    answer = await fleet.transcribe(response_format="srt")

    assert (answer.status_code, [cue.lines for cue in cues_in(answer.text)]) == (200, [("some text",)])


async def test_a_model_without_the_times_of_words_refuses_a_cue_for_each_word(start):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", capabilities=Capabilities()))

    answer = await fleet.transcribe(response_format="srt", subtitle_unit="word")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_parameter")


@pytest.mark.parametrize(
    "fields", [{}, {"response_format": "verbose_json"}, {"response_format": "srt", "stream": "true"}]
)
async def test_other_responses_do_not_pay_for_the_times_of_words(fleet, fields):
    await fleet.transcribe(**fields)

    [(_, options)] = fleet.sensevoice.calls
    assert not options.word_timestamps


@pytest.mark.parametrize("fields", [{}, {"max_line_chars": "20"}, {"subtitle_rules": "off"}, {"subtitle_unit": "word"}])
async def test_verbose_json_can_include_what_srt_and_vtt_would_give(start, fields):
    fleet = await start(Talker("iic/SenseVoiceSmall"))
    request = {"response_format": "verbose_json", "include[]": "subtitles", **fields}
    answer = (await fleet.transcribe(b"SPEECH:1", **request)).json()
    files = {
        each: (await fleet.transcribe(b"SPEECH:1", **{"response_format": each, **fields})).text
        for each in ("srt", "vtt")
    }

    assert answer["subtitles"] == files
    assert "words" not in answer


@pytest.mark.parametrize("response_format", ["json", "text", "srt"])
async def test_other_formats_cannot_include_subtitles(start, response_format):
    fleet = await start(Talker("iic/SenseVoiceSmall"))
    request = {"response_format": response_format, "include[]": "subtitles"}
    answer = await fleet.transcribe(b"SPEECH:1", **request)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "include"
