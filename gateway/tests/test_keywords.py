"""Keywords and other fields that an engine may not use; the lists of `rapl.toml`."""

import asyncio
import os

import pytest
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


async def test_a_team_has_keywords_of_its_own(start, tmp_path, monkeypatch):
    monkeypatch.setenv("SUPPORT_KEY", "support")
    (tmp_path / "rapl.toml").write_text(
        'keywords = ["RAPL"]\n[teams.support]\nkey_env = "SUPPORT_KEY"\nkeywords = ["Lovelace"]'
    )
    fleet = await start(api_keys="support,sales")

    for key, keywords in (("support", ("Lovelace", "RAPL")), ("sales", ("RAPL",))):
        fleet.http.headers["authorization"] = f"Bearer {key}"
        _, options = await sent(fleet)
        assert options.keywords == keywords


async def test_changed_keywords_take_effect_without_a_restart_and_a_mistake_keeps_those_of_before(start, tmp_path):
    file = tmp_path / "rapl.toml"
    file.write_text('keywords = ["old"]')
    fleet = await start()

    async def until(keywords, content, stamp):
        file.write_text(content)
        os.utime(file, ns=(stamp, stamp))
        async with asyncio.timeout(30):
            while (await sent(fleet))[1].keywords != keywords:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    await until(("new",), 'keywords = ["new"]', 1_000)
    await until(("new",), "keywords = 7", 2_000)
    await until(("newer",), 'keywords = ["newer"]', 3_000)


async def test_a_team_whose_key_is_not_set_ends_the_start(start, tmp_path):
    (tmp_path / "rapl.toml").write_text('[teams.support]\nkey_env = "NO_SUCH_KEY"')

    with pytest.raises(ValueError, match=r"rapl.toml:2: team 'support' needs its key"):
        await start()
