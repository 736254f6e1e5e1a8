"""The `openvino` runtime compared with FunASR's `AutoModel` on 240 clips of synthetic speech and other sounds.

The log-probabilities of both runtimes are compared with those that FunASR computes inside and does not return.
"""

import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rapl_sensevoice.transcriber import SELFTEST_FOLDER

CLIPS, FRAME_S = 240, 0.06
PROGRAM = """
import json, shutil, sys
from itertools import groupby
from pathlib import Path
import soundfile
from funasr.models.ctc.ctc import CTC
from rapl_protocol.audio import WavAudio
from rapl_protocol.transcript import TranscribeOptions
from rapl_sensevoice.weights.convert import convert
from rapl_sensevoice.runtimes.funasr import FunAsrRuntime
from rapl_sensevoice.runtimes.openvino import OpenVinoRuntime
from rapl_sensevoice.runtimes.runtime import DecodeRequest
from rapl_sensevoice.model.transcripts import transcript_from

tests, source, folder = map(Path, sys.argv[1:])
shutil.copytree(source, folder)
convert(folder, "f32")
pcm, _ = soundfile.read(tests / "parity.opus", dtype="int16")
ends = json.loads((tests / "parity.json").read_text())
clips = [WavAudio(pcm[start:end].tobytes()) for start, end in zip([0, *ends], ends)]

options = TranscribeOptions(model="rapl/selftest", word_timestamps=True)
log_softmaxes = []
log_softmax = CTC.log_softmax

def recorded_log_softmax(self, encoded):
    log_softmaxes.append(log_softmax(self, encoded))
    return log_softmaxes[-1].clone()

CTC.log_softmax = recorded_log_softmax

def runs_of(log_probs):
    frames = log_probs.max(dim=-1)
    runs = groupby(zip(frames.indices.tolist(), frames.values.tolist()), key=lambda frame: frame[0])
    highest = [(token, max(value for _, value in run)) for token, run in runs]
    return [value for token, value in highest if token != 0][4:]

def results(runtime):
    runtime.load(folder)
    for clip in clips:
        log_softmaxes.clear()
        decoded = runtime.decode_batch([DecodeRequest(runtime.features(clip), None, with_times=True)])[0]
        words = [s.words for s in transcript_from(decoded, clip, options).segments]
        yield {
            "text": decoded.rich_text,
            "words": [[(w.word, w.start_s, w.end_s) for w in times or ()] for times in words],
            "log_probs": [token.log_prob for token in decoded.path],
            "log_softmax": runs_of(log_softmaxes[0][0]) if log_softmaxes else None,
        }

runtimes = {
    "funasr": FunAsrRuntime("cpu", 1),
    "f32": OpenVinoRuntime("f32", 1),
    "int8": OpenVinoRuntime("int8", 1, scales_frames=False),
    "int8 with AMX": OpenVinoRuntime("int8", 1, scales_frames=True),
}
print(json.dumps({name: list(results(runtime)) for name, runtime in runtimes.items()}))
"""


@pytest.fixture(scope="module")
def results(engine_python: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """For each runtime and clip: the text with tags, the words of its segments with their times, and log-probabilities.

    `log_probs` are those of the runtime, `log_softmax` those that FunASR computed inside, both for the text's tokens.
    """
    folder = tmp_path_factory.mktemp("parity") / "model"
    command = [engine_python, "-c", PROGRAM, str(Path(__file__).parent), str(SELFTEST_FOLDER), str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def adds_8_bit_products_exactly() -> bool:
    """Without VNNI, x86 adds two products of 8 bits in 16 bits, which is too little for graphs that are made for AMX.

    Source: "Nuances of int8 computations" in oneDNN's documentation.
    """
    flags = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    return platform.machine() != "x86_64" or "vnni" in flags


def agreeing(results: dict[str, list[Any]], runtime: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """FunASR's results and the runtime's, for the clips of which both wrote the same text and tags."""
    pairs = zip(results["funasr"], results[runtime], strict=True)
    same = [(reference, ours) for reference, ours in pairs if reference["text"] == ours["text"]]
    print(f"{runtime}: the same text and tags for {len(same)} of {len(results['funasr'])} clips")  # noqa: T201
    return same


def test_float32_writes_exactly_what_funasr_writes(results: dict[str, list[Any]]):
    assert len(agreeing(results, "f32")) == len(results["funasr"]) == CLIPS


@pytest.mark.parametrize("precision", ["int8", "int8 with AMX"])
def test_the_default_precision_writes_the_same_for_98_in_100_clips(results: dict[str, list[Any]], precision: str):
    if precision == "int8 with AMX" and not adds_8_bit_products_exactly():
        pytest.skip("this processor has neither AMX nor VNNI")
    assert len(agreeing(results, precision)) >= 0.98 * CLIPS


def test_the_clips_are_speech_in_two_languages_and_other_sounds(results: dict[str, list[Any]]):
    first_tags = [each["text"].partition("|>")[0] for each in results["funasr"]]

    assert min(first_tags.count(tag) for tag in ("<|en", "<|zh", "<|nospeech")) >= 15


@pytest.mark.parametrize("precision", ["f32", "int8", "int8 with AMX"])
def test_every_word_is_where_funasrs_alignment_puts_it_within_a_frame(results: dict[str, list[Any]], precision: str):
    compared = 0
    for reference, ours in agreeing(results, precision):
        for segment, our_segment in zip(reference["words"], ours["words"], strict=True):
            for (word, *times), (our_word, *our_times) in zip(segment, our_segment, strict=True):
                assert word == our_word
                assert our_times == pytest.approx(times, abs=FRAME_S + 0.002)  # FunASR rounds to milliseconds
                compared += 1
    print(f"{precision}: {compared} words")  # noqa: T201
    assert compared > 500


def differences(results: dict[str, list[Any]], runtime: str) -> Sequence[float]:
    """How far the log-probabilities of the text's tokens are from FunASR's own, where the texts are the same."""
    found = []
    for reference, ours in agreeing(results, runtime):
        pairs = zip(ours["log_probs"], reference["log_softmax"], strict=True)
        found += [abs(log_prob - expected) for log_prob, expected in pairs]
    print(f"{runtime}: {len(found)} tokens, mean {statistics.fmean(found):.5f}, most {max(found):.5f}")  # noqa: T201
    return found


@pytest.mark.parametrize("runtime", ["funasr", "f32"])
def test_log_probabilities_are_those_of_funasrs_own_softmax(results: dict[str, list[Any]], runtime: str):
    found = differences(results, runtime)

    assert len(found) > 500
    assert max(found) < 0.001


@pytest.mark.parametrize("precision", ["int8", "int8 with AMX"])
def test_with_8_bits_log_probabilities_stay_near_them(results: dict[str, list[Any]], precision: str):
    found = differences(results, precision)

    assert len(found) > 500
    assert statistics.fmean(found) < 0.05
