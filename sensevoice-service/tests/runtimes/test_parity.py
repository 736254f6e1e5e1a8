"""The `openvino` runtime compared with FunASR's `AutoModel` on 240 clips of synthetic speech and other sounds."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rapl_sensevoice.transcriber import SELFTEST_FOLDER

CLIPS, FRAME_S = 240, 0.06
PROGRAM = """
import json, shutil, sys
from pathlib import Path
import soundfile
from rapl_protocol.audio import WavAudio
from rapl_protocol.transcript import TranscribeOptions
from rapl_sensevoice.weights.convert import convert
from rapl_sensevoice.runtimes.funasr import FunAsrRuntime
from rapl_sensevoice.runtimes.openvino import OpenVinoRuntime
from rapl_sensevoice.model.transcripts import transcript_from

tests, source, folder = map(Path, sys.argv[1:])
shutil.copytree(source, folder)
convert(folder, "f32")
pcm, _ = soundfile.read(tests / "parity.opus", dtype="int16")
ends = json.loads((tests / "parity.json").read_text())
clips = [WavAudio(pcm[start:end].tobytes()) for start, end in zip([0, *ends], ends)]

options = TranscribeOptions(model="rapl/selftest", word_timestamps=True)

def results(runtime):
    runtime.load(folder)
    for clip in clips:
        decoded = runtime.decode(runtime.features(clip), None, with_times=True)
        words = [s.words for s in transcript_from(decoded, clip, options).segments]
        yield decoded.rich_text, [[(w.word, w.start_s, w.end_s) for w in times or ()] for times in words]

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
    """For each runtime and clip: the text with tags, and the words of its segments with their times."""
    folder = tmp_path_factory.mktemp("parity") / "model"
    command = [engine_python, "-c", PROGRAM, str(Path(__file__).parent), str(SELFTEST_FOLDER), str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def agreeing(results: dict[str, list[Any]], precision: str) -> list[tuple[list[Any], list[Any]]]:
    """The words of FunASR and of the runtime, for the clips of which both wrote the same text and tags."""
    pairs = zip(results["funasr"], results[precision], strict=True)
    same = [(words, ours) for (text, words), (our_text, ours) in pairs if text == our_text]
    print(f"{precision}: the same text and tags for {len(same)} of {len(results['funasr'])} clips")  # noqa: T201
    return same


def test_float32_writes_exactly_what_funasr_writes(results: dict[str, list[Any]]):
    assert len(agreeing(results, "f32")) == len(results["funasr"]) == CLIPS


@pytest.mark.parametrize("precision", ["int8", "int8 with AMX"])
def test_the_default_precision_writes_the_same_for_98_in_100_clips(results: dict[str, list[Any]], precision: str):
    assert len(agreeing(results, precision)) >= 0.98 * CLIPS


def test_the_clips_are_speech_in_two_languages_and_other_sounds(results: dict[str, list[Any]]):
    first_tags = [text.partition("|>")[0] for text, _ in results["funasr"]]

    assert min(first_tags.count(tag) for tag in ("<|en", "<|zh", "<|nospeech")) >= 15


@pytest.mark.parametrize("precision", ["f32", "int8", "int8 with AMX"])
def test_every_word_is_where_funasrs_alignment_puts_it_within_a_frame(results: dict[str, list[Any]], precision: str):
    compared = 0
    for words, ours in agreeing(results, precision):
        for segment, our_segment in zip(words, ours, strict=True):
            for (word, *times), (our_word, *our_times) in zip(segment, our_segment, strict=True):
                assert word == our_word
                assert our_times == pytest.approx(times, abs=FRAME_S + 0.002)  # FunASR rounds to milliseconds
                compared += 1
    print(f"{precision}: {compared} words")  # noqa: T201
    assert compared > 500
