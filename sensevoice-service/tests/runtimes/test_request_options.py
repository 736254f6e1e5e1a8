"""Keywords, `itn` and lists of languages, with both runtimes and clips of synthetic speech with noise.

FunASR's own result for the same switch is compared too: `itn` must mean the same.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rapl_sensevoice.transcriber import SELFTEST_FOLDER

CLIPS = 40
KEYWORDS = ("打开打开", "41", "音乐停止", "open door")
PROGRAM = """
import json, shutil, sys
from pathlib import Path
import numpy as np
import soundfile
from rapl_protocol.audio import WavAudio
from rapl_sensevoice.runtimes.funasr import FunAsrRuntime
from rapl_sensevoice.runtimes.openvino import OpenVinoRuntime
from rapl_sensevoice.runtimes.runtime import DecodeRequest
from rapl_sensevoice.weights.convert import convert

tests, source, folder = map(Path, sys.argv[1:4])
count, keywords = json.loads(sys.argv[4])
shutil.copytree(source, folder)
convert(folder, "f32")
speech, _ = soundfile.read(tests / "parity.opus", dtype="int16")
noise = np.random.default_rng(0).normal(0, 1500, len(speech))  # so that some words are in doubt
pcm = np.clip(speech + noise, -32768, 32767).astype("<i2")
ends = json.loads((tests / "parity.json").read_text())
clips = [WavAudio(pcm[start:end].tobytes()) for start, end in zip([0, *ends], ends)][::len(ends) // count]

def results(runtime, **options):
    for clip in clips:
        [decoded] = runtime.decode_batch([DecodeRequest(runtime.features(clip), None, True, **options)])
        yield {
            "text": decoded.rich_text,
            "path": [[token.text, token.start_s, token.end_s, token.log_prob] for token in decoded.path],
            "words": [[token.text, token.start_s, token.end_s] for token in decoded.tokens or ()],
        }

found = {}
for name, runtime in {"funasr": FunAsrRuntime("cpu", 1), "openvino": OpenVinoRuntime("f32", 1)}.items():
    runtime.load(folder)
    found[name] = {
        "plain": list(results(runtime)),
        "absent": list(results(runtime, graph=runtime.graph(("qqqq qqqq", "zzz")))),
        "keywords": list(results(runtime, graph=runtime.graph(tuple(keywords)))),
        "without itn": list(results(runtime, itn=False)),
        "languages": list(results(runtime, languages=("ja", "zh"))),
    }
    if name == "funasr":
        found["AutoModel"] = {"without itn": [
            runtime._auto_model.generate(
                pcm[start:end].astype("float32") / 32768, language="auto", use_itn=False
            )[0]["text"]
            for start, end in list(zip([0, *ends], ends))[::len(ends) // count]
        ]}
print(json.dumps(found))
"""
every_runtime = pytest.mark.parametrize("runtime", ["openvino", "funasr"])


@pytest.fixture(scope="module")
def found(engine_python: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[Any]]]:
    """For each runtime, options and clip: the text with tags, the path, and the tokens with times."""
    folder = tmp_path_factory.mktemp("options") / "model"
    arguments = [Path(__file__).parent, SELFTEST_FOLDER, folder, json.dumps([CLIPS, KEYWORDS])]
    ended = subprocess.run([engine_python, "-c", PROGRAM, *map(str, arguments)], capture_output=True, timeout=500)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_both_runtimes_write_the_same_text_with_keywords(found: dict[str, dict[str, list[Any]]]):
    ours, theirs = (found[name]["keywords"] for name in ("openvino", "funasr"))

    assert [each["text"].replace(" ", "") for each in ours] == [each["text"].replace(" ", "") for each in theirs]
    assert any(
        with_them["text"] != without["text"]
        for with_them, without in zip(ours, found["openvino"]["plain"], strict=True)
    )


@every_runtime
def test_keywords_that_do_not_occur_change_no_letter_time_or_probability(
    found: dict[str, dict[str, list[Any]]], runtime: str
):
    absent, plain = (found[runtime][name] for name in ("absent", "plain"))

    assert [each["text"].replace(" ", "") for each in absent] == [each["text"].replace(" ", "") for each in plain]
    for changed, unchanged in zip(absent, plain, strict=True):
        assert [token[:3] for token in changed["path"]] == [token[:3] for token in unchanged["path"]]
        assert [token[3] for token in changed["path"]] == pytest.approx(
            [token[3] for token in unchanged["path"]], abs=1e-4
        )


@every_runtime
def test_the_times_of_keywords_are_those_of_their_path(found: dict[str, dict[str, list[Any]]], runtime: str):
    for each in found[runtime]["keywords"]:
        assert each["words"] == [token[:3] for token in each["path"]]


def test_itn_means_what_it_means_to_funasr(found: dict[str, dict[str, list[Any]]]):
    expected = [text.replace(" ", "") for text in found["AutoModel"]["without itn"]]

    for runtime in ("openvino", "funasr"):
        assert [each["text"].replace(" ", "") for each in found[runtime]["without itn"]] == expected
    assert not any(character.isdigit() or character in ".。" for text in expected for character in text)
    assert any(character.isdigit() for each in found["openvino"]["plain"] for character in each["text"])


@every_runtime
def test_only_an_allowed_language_is_detected(found: dict[str, dict[str, list[Any]]], runtime: str):
    detected = {each["text"].split("|")[1] for each in found[runtime]["languages"]}
    without_a_list = {each["text"].split("|")[1] for each in found[runtime]["plain"]}

    assert "en" in without_a_list
    assert detected <= {"ja", "zh", "nospeech"}
    assert "zh" in detected
