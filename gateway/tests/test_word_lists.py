"""Keywords and other fields that an engine may not use; the lists of `rapl.toml`."""

import asyncio
import hashlib
import os

import pytest
from rapl_gateway.word_lists import LOOK_EVERY_S
from rapl_protocol.models import Capabilities
from rapl_protocol.testing import FakeTranscriber


async def sent(fleet, **fields):
    fleet.sensevoice.calls.clear()
    answer = await fleet.transcribe(**fields)
    assert answer.status_code == 200, answer.text
    [(_, options)] = fleet.sensevoice.calls
    return answer, options


@pytest.fixture
def plain_engine():
    return FakeTranscriber("iic/SenseVoiceSmall", text="ok", capabilities=Capabilities(languages=("en", "zh")))


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"keywords[]": "Ada"}, "keywords"),
        ({"keywords[]": "Ada", "prompt": "Letters."}, "prompt, keywords"),
        ({"itn": "false"}, "itn"),
        ({"languages[]": ["en", "zh"]}, "languages"),
        ({"languages[]": ["en", "en-US"]}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("stream", ["false", "true"])
async def test_a_header_names_the_fields_that_the_engine_does_not_use(start, plain_engine, fields, ignored, stream):
    fleet = await start(sensevoice=plain_engine)
    await fleet.http.get("/v1/models")  # now the gateway knows the engine's capabilities

    answer, _ = await sent(fleet, stream=stream, **fields)

    assert answer.headers.get("x-rapl-ignored") == ignored


async def test_no_header_names_fields_that_the_engine_uses(start):
    capable = Capabilities(prompt=True, keywords=True, itn=True, language_choice=True)
    fleet = await start(sensevoice=FakeTranscriber("iic/SenseVoiceSmall", text="ok", capabilities=capable))
    await fleet.http.get("/v1/models")

    fields = {"keywords[]": "Ada", "itn": "true", "languages[]": ["en", "zh"], "prompt": "Letters."}
    answer, options = await sent(fleet, **fields)

    assert "x-rapl-ignored" not in answer.headers
    assert (options.keywords, options.itn, options.languages) == (("Ada",), True, ("en", "zh"))


@pytest.mark.parametrize(("text", "itn"), [("true", True), ("false", False), ("", None), (None, None)])
async def test_itn_is_a_switch_with_three_positions(fleet, text, itn):
    _, options = await sent(fleet, **({} if text is None else {"itn": text}))

    assert options.itn is itn


async def test_a_list_without_a_language_of_the_model_is_refused(start, plain_engine):
    fleet = await start(sensevoice=plain_engine)

    answer = await fleet.transcribe(**{"languages[]": ["fr", "de"]})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "languages"


async def test_the_keywords_of_the_file_follow_those_of_the_request(start, tmp_path):
    (tmp_path / "rapl.toml").write_text('keywords = ["RAPL", "Ada"]')
    fleet = await start()

    _, options = await sent(fleet, **{"keywords[]": ["Ada", "Babbage"]})

    assert options.keywords == ("Ada", "Babbage", "RAPL")


async def test_the_clients_of_a_key_have_keywords_of_their_own(start, tmp_path):
    (tmp_path / "rapl.toml").write_text(
        f'keywords = ["RAPL"]\n[clients.support]\nkey_sha256 = "{hashlib.sha256(b"support").hexdigest()}"\n'
        'keywords = ["Lovelace"]'
    )
    fleet = await start(api_keys="support,sales")

    for key, keywords in (("support", ("Lovelace", "RAPL")), ("sales", ("RAPL",))):
        fleet.http.headers["authorization"] = f"Bearer {key}"
        _, options = await sent(fleet)
        assert options.keywords == keywords


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rapl.toml"


def change(file, content, stamp):
    """Args: `stamp` is the time of the change, in nanoseconds. A real change has another one than before."""
    file.write_text(content)
    os.utime(file, ns=(stamp, stamp))


async def until(condition):
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_changed_keywords_take_effect_without_a_restart_and_a_mistake_keeps_those_of_before(start, file):
    file.write_text('keywords = ["old"]')
    fleet = await start()

    async def has(keyword):
        return (await sent(fleet))[1].keywords == (keyword,)

    change(file, 'keywords = ["new"]', 1_000)
    await until(lambda: has("new"))
    change(file, "keywords = 7", 2_000)
    await asyncio.sleep(2 * LOOK_EVERY_S)
    assert await has("new")
    change(file, 'keywords = ["newer"]', 3_000)
    await until(lambda: has("newer"))


async def test_changed_replacements_take_effect_without_a_restart(start, file):
    file.write_text("[replacements]\nok = 'fine'")
    fleet = await start(sensevoice=FakeTranscriber("iic/SenseVoiceSmall", text="ok"))

    async def writes(text):
        return (await sent(fleet))[0].json()["text"] == text

    assert await writes("fine")
    change(file, "[replacements]\nok = 'very well'", 1_000)
    await until(lambda: writes("very well"))
