"""What engines lose of people's speech is transcribed again or reported."""

import json
import os
import subprocess
from difflib import SequenceMatcher

import pytest
from losses import Material, losing
from rapl_bench.real.error_rate import errors, normalized
from rapl_bench.real.models import BASE, TINY_EN
from rapl_bench.real.recordings import SHARED
from real_fleet import CACHE

pytestmark = pytest.mark.real

SENTENCES = (
    "欢迎大家来体验达摩院推出的语音识别模型",
    "对，这就是我，万人敬仰的太乙真人。",
    "希望你以后能够做的比我还好呦",
    "广州市房地产中介协会分析",
)
needs_folder = pytest.mark.skipif(not SHARED.exists(), reason=f"{SHARED} is not there")
EXACT = ("id", "seek", "text", "tokens")
NUMBERS = ("start", "end", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob")
SEGMENTS = """
import json, sys
from mlx_audio.stt import load
from pathlib import Path
result = load(Path(sys.argv[1]), strict=True).generate(sys.argv[2], verbose=None)
print("answer " + json.dumps(result.segments))
"""


def matched(sentence: str, text: str) -> float:
    """The share of a sentence's characters that are in the text, in order."""
    expected, found = normalized(sentence, "zh"), normalized(text, "zh")
    blocks = SequenceMatcher(None, expected, found, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(expected)


@needs_folder
def test_a_decoder_that_jumps_to_the_end_of_its_window_loses_no_sentence(fleet, recordings):
    clip = recordings.by_name("zh-lost-24s")

    answer = fleet.transcribe(clip.file.read_bytes(), BASE)

    assert all(matched(sentence, answer["text"]) > 0.6 for sentence in SENTENCES), answer["text"]
    assert len(normalized(answer["text"], "zh")) > 60
    assert (answer["coverage"] > 0.95) == ("problems" not in answer)


@needs_folder
def test_a_recording_with_gaps_keeps_its_sentences(fleet, recordings):
    recording = recordings.by_name("long-zh-82s")

    answer = fleet.transcribe(recording.file.read_bytes(), BASE)

    assert errors(recording.reference, answer["text"], "zh").rate < 0.2
    assert answer["coverage"] > 0.95


def test_losses_in_real_speech_are_cured_or_named(tmp_path, engines, models, recordings):
    files = (file for file in Material(recordings, seed=3).prompts("en"))
    targets = [target for _, file in zip(range(4), files, strict=False) for target in file.targets()][:8]

    with losing(tmp_path, engines, models, 3, CACHE / "transcripts-mlx") as losses:
        outcomes = losses.measure(targets, kinds=3)

    assert outcomes.flagged == []
    assert outcomes.share("all", ("cured", "named", "retried", "reworded")) == 1.0, outcomes.missed
    assert outcomes.share("all") >= 0.8, outcomes.missed


def test_the_ten_fields_of_a_segment_are_those_of_the_model(fleet, packages, models, recordings, mlx_python):
    [clip] = [each for each in recordings.moonshine() if each.name == "beckett"]
    environ = {**os.environ, **packages.mlx_environ()}
    command = [mlx_python, "-c", SEGMENTS, str(models[TINY_EN].mlx), str(clip.file)]
    output = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=300).stdout
    [line] = [line for line in output.splitlines() if line.startswith("answer ")]
    expected = [each for each in json.loads(line.removeprefix("answer ")) if each["text"].strip()]

    answer = fleet.transcribe(clip.file.read_bytes(), TINY_EN)

    assert len(answer["segments"]) == len(expected)
    for number, (found, own) in enumerate(zip(answer["segments"], expected, strict=True)):
        own |= {"id": number, "end": min(own["end"], answer["duration"])}
        assert {name: found[name] for name in EXACT} == {name: own[name] for name in EXACT}
        assert {name: found[name] for name in NUMBERS} == pytest.approx({name: own[name] for name in NUMBERS}, abs=1e-3)
