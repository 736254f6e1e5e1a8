"""What the page's files hold: their size, their texts, and nothing from elsewhere."""

import base64
import hashlib
import posixpath
import re

import pytest
from rapl_gateway.page.files import STATIC, page_files

FILES = page_files()
MOST_BYTES = 300_000
MODULES = sorted(path for path in FILES if path.endswith(".js") and "/vendor/" not in path)
KEY = re.compile(r'^ +"([^"]+)": ', re.MULTILINE)
PLACEHOLDER = re.compile(r"\{\w+\}")


def text_of(path: str) -> str:
    return FILES[path].content.decode()


def texts(language: str) -> dict[str, str]:
    """The texts of a language, from its three files."""
    lines = "".join(text_of(f"/page/texts/{name}.js") for name in (language, f"{language}-try", f"{language}-fleet"))
    return dict(re.findall(r'^ +"([^"]+)": "(.*)",$', lines, re.MULTILINE))


def test_the_whole_page_is_small():
    assert sum(len(file.content) for file in FILES.values()) < MOST_BYTES


def test_every_text_is_on_one_line_and_has_its_own_key():
    for language in ("en", "zh"):
        lines = "".join(
            text_of(f"/page/texts/{name}.js") for name in (language, f"{language}-try", f"{language}-fleet")
        )
        assert sorted(KEY.findall(lines)) == sorted(texts(language))


def test_both_languages_have_the_same_texts_with_the_same_places_for_values():
    english, chinese = texts("en"), texts("zh")

    assert english.keys() == chinese.keys()
    places = {key: (set(PLACEHOLDER.findall(english[key])), set(PLACEHOLDER.findall(chinese[key]))) for key in english}
    assert {key: both for key, both in places.items() if both[0] != both[1]} == {}


@pytest.mark.parametrize("path", [path for path in MODULES if "/texts/" not in path])
def test_every_text_that_a_module_names_exists(path):
    english = texts("en")
    kinds = {key.partition(".")[0] for key in english}
    named = {key for key in re.findall(r'(?<!h\()"([a-z]+\.[a-z_]+)"', text_of(path)) if key.partition(".")[0] in kinds}

    assert named - english.keys() == set()


@pytest.mark.parametrize("path", MODULES)
def test_every_import_of_a_module_is_served(path):
    imported = re.findall(r'^(?:import|export)\b[^;]*? from "([^"]+)";', text_of(path), re.MULTILINE)

    assert [name for name in imported if posixpath.normpath(posixpath.join(path, "..", name)) not in FILES] == []


def test_the_page_has_no_inline_script_or_style_and_reads_nothing_from_elsewhere():
    html = text_of("/")

    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|https?://", html) == []
    named = re.findall(r'(?:src|href)="(page/[^"]+)"', html)
    assert {f"/{name}" for name in named} <= FILES.keys()


async def test_the_policy_has_the_digest_of_the_style_that_wavesurfer_adds(fleet):
    source = (STATIC / "vendor" / "wavesurfer.js").read_text()
    height = re.search(r"WAVEFORM_HEIGHT = (\d+)", text_of("/page/try/result/waveform.js"))
    style = re.search(r"<style\$\{.*?\}>(.*?)</style>", source)
    assert height
    assert style

    css = re.sub(r"\$\{[^}]*\}", height[1], style[1].replace("\\n", "\n"))

    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    answer = await fleet.http.get("/")
    assert f"style-src 'self' 'sha256-{digest}'" in answer.headers["content-security-policy"]


def test_what_is_vendored_has_its_licence():
    assert "BSD 3-Clause" in text_of("/page/vendor/wavesurfer.LICENSE.txt")
