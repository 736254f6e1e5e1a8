"""A draft makes a model faster and never changes its text: in the real mlx-audio, whatever the draft is."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rapl_mlx.families.qwen3_asr import MegaAsr, Phonon, Qwen3Asr
from rapl_mlx.families.whisper import Whisper
from rapl_protocol.transcript import Decoding, Segment, TranscribeOptions, Transcript

HERE = Path(__file__).parent
MODELS = HERE.parents[2] / "tests" / "models"
SAMPLE = HERE.parents[2] / "samples" / "three-one-four.wav"


def decoded(python: str, folder: Path) -> dict[str, tuple[str, int]]:
    """The text and the number of computations without a draft (`plain`) and with several."""
    program = [python, HERE / "decode_with_draft.py", folder, SAMPLE]
    ended = subprocess.run(program, check=True, timeout=120, capture_output=True)
    return {name: (text, calls) for name, (text, calls) in json.loads(ended.stdout).items()}


@pytest.fixture(params=["qwen3_asr", "whisper"])
def found(request: pytest.FixtureRequest, mlx_python: str, digits: Path, tmp_path: Path) -> dict[str, tuple[str, int]]:
    if request.param == "qwen3_asr":
        return decoded(mlx_python, digits)
    subprocess.run([mlx_python, MODELS / "make_random_whisper.py", tmp_path], check=True, timeout=120)
    return decoded(mlx_python, tmp_path)


def test_the_text_is_the_same_and_the_better_the_draft_the_fewer_computations(found: dict[str, tuple[str, int]]):
    texts = {text for text, _ in found.values()}
    calls = {name: calls for name, (_, calls) in found.items()}

    assert len(texts) == 1
    assert len(texts.pop().split()) >= 6
    assert calls["same"] <= 3
    assert calls["same"] < calls["end"] < calls["middle"] < calls["foreign"] <= calls["plain"]


def transcript_of(*decodings: Decoding | None, language: str | None = None) -> Transcript:
    segments = [Segment(start_s=0.0, end_s=1.0, text=" eins", decoding=decoding) for decoding in decodings]
    return Transcript(text="eins", language=language, duration_s=1.0, segments=tuple(segments))


@pytest.mark.parametrize(
    ("decodings", "expected"),
    [
        ([Decoding(seek=0, tokens=(1, 2)), Decoding(seek=0, tokens=(3,))], [1, 2, 3]),
        ([Decoding(seek=0, tokens=(1, 2)), Decoding(seek=200, tokens=(3,))], [1, 2]),
        ([Decoding(seek=0), Decoding(seek=0, tokens=(3,))], None),
        ([None], None),
        ([], None),
    ],
)
def test_whispers_draft_is_what_it_decoded_in_its_first_window(decodings: list[Any], expected: list[int] | None):
    options = TranscribeOptions(model="a/b", draft=transcript_of(*decodings))

    assert Whisper(("en",)).arguments(options, 1.0).get("draft") == expected


@pytest.mark.parametrize(
    ("requested", "detected", "expected"),
    [
        (None, "en", "language English<asr_text>eins"),
        ("en", "en", "eins"),
        (None, None, "eins"),
        (None, "tlh", "eins"),
    ],
)
def test_qwen3_asrs_draft_is_the_text_as_the_model_writes_it(
    requested: str | None, detected: str | None, expected: str
):
    options = TranscribeOptions(model="a/b", language=requested, draft=transcript_of(language=detected))

    assert Qwen3Asr().arguments(options, 1.0)["draft"] == expected


def test_families_declare_whether_they_use_a_draft():
    assert Whisper(("en",)).capabilities.drafts
    assert Qwen3Asr().capabilities.drafts
    assert MegaAsr().capabilities.drafts
    assert not Phonon().capabilities.drafts
