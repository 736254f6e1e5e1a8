"""The `openvino` runtime with our own graph and with the exports of other projects."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rapl_protocol.audio import WavAudio
from rapl_protocol.transcript import TranscribeOptions
from rapl_sensevoice.model.acoustic_model import AcousticModel, padded_length
from rapl_sensevoice.model.decoding import FrameTokens, emissions
from rapl_sensevoice.model.features import features
from rapl_sensevoice.model.frame_scales import has_amx_int8
from rapl_sensevoice.model.graph import QUERIES
from rapl_sensevoice.model.transcripts import transcript_from
from rapl_sensevoice.runtimes.openvino import OpenVinoRuntime
from rapl_sensevoice.runtimes.runtime import Decoded, DecodeRequest
from rapl_sensevoice.transcriber import SELFTEST_FOLDER
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.graph_files import converted, ready_made

EXPORTS = Path(__file__).parents[1] / "exports"
LAYOUTS = {"ours": SELFTEST_FOLDER, "funasr": EXPORTS / "funasr", "sherpa": EXPORTS / "sherpa"}

TOKENS = 232
"""Size of the self-test model's vocabulary."""

every_layout = pytest.mark.parametrize("layout", LAYOUTS)


OPTIONS = TranscribeOptions(model="rapl/selftest", word_timestamps=True)

ROUNDING = 1e-4
"""How far log-probabilities may differ: a batch is added up in another order than a clip alone, by some processors."""


def loaded(folder: Path, scales_frames: bool | None = None) -> OpenVinoRuntime:
    runtime = OpenVinoRuntime("int8", 1, scales_frames)
    runtime.load(folder)
    return runtime


@every_layout
def test_speech_becomes_text_and_tags(layout: str, digits: WavAudio):
    runtime = loaded(LAYOUTS[layout])
    decoded = runtime.decode_batch([DecodeRequest(runtime.features(digits), None, with_times=False)])[0]

    assert decoded.rich_text.replace(" ", "") == "<|en|><|NEUTRAL|><|Speech|><|withitn|>314159."
    assert transcript_from(decoded, digits, OPTIONS).text == "3 1 4 1 5 9."


TWO_AT_ONCE = """
import sys, threading
from pathlib import Path
from rapl_sensevoice.model import acoustic_model
from rapl_sensevoice.weights.graph_files import converted

files, begin = converted(Path(sys.argv[1]), "int8"), threading.Barrier(4)

def load():
    begin.wait()
    acoustic_model.AcousticModel(files, "int8", 1)

import openvino
threads = [threading.Thread(target=load) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("loaded")
"""


def test_models_that_are_loaded_at_the_same_time_do_not_wait_for_each_other_forever():
    for _ in range(3):
        ended = subprocess.run(
            [sys.executable, "-c", TWO_AT_ONCE, SELFTEST_FOLDER], capture_output=True, text=True, timeout=60
        )
        assert ended.stdout == "loaded\n", ended.stderr


def most_probable(layout: str, clips: Sequence[WavAudio], count: int) -> list[FrameTokens]:
    files = converted(LAYOUTS[layout], "int8") or ready_made(LAYOUTS[layout])
    assert files
    model = AcousticModel(files, "int8", threads=1)
    return model.frame_tokens([features(clip, model.cmvn) for clip in clips], [None] * len(clips), count)


@every_layout
def test_every_token_of_the_text_has_a_log_probability(layout: str, digits: WavAudio):
    runtime = loaded(LAYOUTS[layout])
    decoded = runtime.decode_batch([DecodeRequest(runtime.features(digits), None, with_times=False)])[0]
    log_probs = [token.log_prob or 0 for token in decoded.path]

    assert "".join(token.text for token in decoded.path).replace("\u2581", "") == "314159."
    assert all(-0.5 < log_prob <= 0 for log_prob in log_probs)
    [segment] = transcript_from(decoded, digits, OPTIONS).segments
    assert segment.decoding is not None
    assert segment.decoding.avg_logprob == pytest.approx(sum(log_probs) / len(log_probs))


def test_the_three_graphs_report_nearly_the_same_log_probability(digits: WavAudio):
    averages = []
    for folder in LAYOUTS.values():
        runtime = loaded(folder)
        decoded = runtime.decode_batch([DecodeRequest(runtime.features(digits), None, with_times=False)])[0]
        averages.append(sum(token.log_prob or 0 for token in decoded.path) / len(decoded.path))

    assert averages == pytest.approx([averages[0]] * 3, abs=0.02)


@every_layout
@pytest.mark.parametrize("count", [2, 8, TOKENS])
def test_more_tokens_on_request_begin_with_those_of_the_path(layout: str, count: int, digits: WavAudio):
    [path] = most_probable(layout, [digits], 1)
    [more] = most_probable(layout, [digits], count)

    assert path.tokens.shape == path.log_probs.shape == (len(more.tokens), 1)
    assert more.tokens.shape == more.log_probs.shape == (len(path.tokens), count)
    assert (more.tokens[:, :1] == path.tokens).all()
    assert more.log_probs[:, :1] == pytest.approx(path.log_probs, abs=1e-6)
    assert (np.diff(more.log_probs, axis=1) <= 0).all()
    assert all(len(set(frame)) == count for frame in more.tokens.tolist())


@every_layout
def test_the_probabilities_of_all_tokens_add_up_to_one(layout: str, digits: WavAudio):
    [every] = most_probable(layout, [digits], TOKENS)

    assert np.isfinite(every.log_probs).all()
    assert (every.log_probs <= 0).all()
    assert np.exp(every.log_probs).sum(axis=1) == pytest.approx(1, abs=0.02)
    assert every.tokens.min() == 0
    assert every.tokens.max() == TOKENS - 1


@pytest.mark.parametrize("count", [1, 8])
def test_padding_in_a_batch_changes_no_token_and_no_log_probability(digits: WavAudio, count: int):
    clips = [digits, WavAudio(digits.pcm[: len(digits.pcm) // 4 * 2]), WavAudio(bytes(len(digits.pcm)))]
    together = most_probable("ours", clips, count)

    for clip, found in zip(clips, together, strict=True):
        [alone] = most_probable("ours", [clip], count)
        assert (found.tokens == alone.tokens).all()
        assert found.log_probs == pytest.approx(alone.log_probs, abs=ROUNDING)


def without_log_probs(decoded: Decoded) -> Decoded:
    tokens = tuple(replace(token, log_prob=None) for token in decoded.tokens or ())
    return replace(decoded, tokens=tokens, path=tuple(replace(token, log_prob=None) for token in decoded.path))


def test_an_emitted_token_has_the_log_probability_of_its_most_probable_frame():
    tokens = np.array([[7], [7], [0], [7], [5]], np.int32)
    frames = FrameTokens(tokens, np.log(np.array([[0.5], [0.9], [0.8], [0.6], [0.7]], np.float32)))

    assert [each.log_prob for each in emissions(frames)] == pytest.approx(np.log([0.9, 0.6, 0.7]), abs=1e-6)


@every_layout
def test_words_have_times(layout: str, digits: WavAudio):
    runtime = loaded(LAYOUTS[layout])
    decoded = runtime.decode_batch([DecodeRequest(runtime.features(digits), "en", with_times=True)])[0]

    [segment] = transcript_from(decoded, digits, OPTIONS).segments
    assert [word.word for word in segment.words or ()] == ["3", "1", "4", "1", "5", "9"]


def test_a_list_of_pieces_replaces_a_missing_sentencepiece_model(tmp_path: Path, digits: WavAudio):
    for name in ("model_quant.onnx", "am.mvn"):
        shutil.copy(EXPORTS / "funasr" / name, tmp_path)
    lines = (EXPORTS / "sherpa" / "tokens.txt").read_text().splitlines()
    pieces = ", ".join(f'"{line.rpartition(" ")[0]}"' for line in lines)
    (tmp_path / "tokens.json").write_text(f"[{pieces}]")
    runtime = loaded(tmp_path)
    decoded = runtime.decode_batch([DecodeRequest(runtime.features(digits), None, with_times=False)])[0]

    assert transcript_from(decoded, digits, OPTIONS).text == "3 1 4 1 5 9."


@pytest.mark.parametrize(
    ("layout", "name", "content", "reason"),
    [
        ("ours", "sensevoice-int8.xml", b"<net", "cannot be read as a graph"),
        ("ours", "am.mvn", b"<Nnet>\n", "560 means"),
        ("ours", "chn_jpn_yue_eng_ko_spectok.bpe.model", b"\x00", "not a sentencepiece model"),
        ("sherpa", "model.int8.onnx", b"\x08\x07", "cannot be read as a graph"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, layout: str, name: str, content: bytes, reason: str):
    shutil.copytree(LAYOUTS[layout], tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelUnusable, match=reason):
        loaded(tmp_path)


def test_a_graph_of_another_model_is_refused(tmp_path: Path):
    import openvino
    from openvino import opset13

    shutil.copytree(SELFTEST_FOLDER, tmp_path, dirs_exist_ok=True)
    pixels = opset13.parameter([1], np.float32, name="pixels")
    model = openvino.Model([opset13.relu(pixels)], [pixels], "other")
    openvino.save_model(model, tmp_path / "sensevoice-int8.xml")
    with pytest.raises(ModelUnusable, match="inputs"):
        loaded(tmp_path)


def set_format(manifest: Path, number: int) -> None:
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": number}))


def test_a_graph_of_an_older_version_is_not_loaded(tmp_path: Path):
    shutil.copytree(SELFTEST_FOLDER, tmp_path, dirs_exist_ok=True)
    set_format(tmp_path / "sensevoice-int8.json", 2)
    with pytest.raises(ModelUnusable, match="no graph") as caught:
        loaded(tmp_path)

    assert "prepare-model" in caught.value.remedy


def test_beside_a_graph_of_an_older_version_a_ready_made_export_is_loaded(tmp_path: Path, digits: WavAudio):
    for folder in (SELFTEST_FOLDER, EXPORTS / "funasr"):
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    set_format(tmp_path / "sensevoice-int8.json", 2)

    assert loaded(tmp_path).batch_key(digits)[1] == 1


def test_an_empty_folder_is_an_error(tmp_path: Path):
    with pytest.raises(ModelUnusable, match="no graph"):
        loaded(tmp_path)


def test_audio_of_another_length_in_between_changes_no_result(digits: WavAudio):
    runtime = loaded(SELFTEST_FOLDER)
    half = WavAudio(digits.pcm[: len(digits.pcm) // 4 * 2])
    alone = [
        runtime.decode_batch([DecodeRequest(runtime.features(audio), None, with_times=True)])[0]
        for audio in (digits, half)
    ]

    assert [
        runtime.decode_batch([DecodeRequest(runtime.features(audio), None, with_times=True)])[0]
        for audio in (digits, half)
    ] == alone


@pytest.mark.parametrize("scales_frames", [False, True], ids=["scaled by OpenVINO", "scaled by the graph"])
def test_a_batch_gives_the_same_results_as_its_clips_alone(digits: WavAudio, scales_frames: bool):
    runtime = loaded(SELFTEST_FOLDER, scales_frames)
    silence = WavAudio(bytes(len(digits.pcm)))
    backwards = WavAudio(np.frombuffer(digits.pcm, "<i2")[::-1].tobytes())
    half = WavAudio(digits.pcm[: len(digits.pcm) // 4 * 2])
    requests = [
        DecodeRequest(runtime.features(clip), language, with_times=True)
        for clip, language in ((digits, None), (silence, "ja"), (half, None), (backwards, None), (digits, "en"))
    ]

    alone = [runtime.decode_batch([each])[0] for each in requests]
    together = runtime.decode_batch(requests)
    assert [without_log_probs(each) for each in together] == [without_log_probs(each) for each in alone]
    for in_batch, by_itself in zip(together, alone, strict=True):
        log_probs = [token.log_prob for token in by_itself.path]
        assert [token.log_prob for token in in_batch.path] == pytest.approx(log_probs, abs=ROUNDING)
    assert transcript_from(alone[0], digits, OPTIONS).text == "3 1 4 1 5 9."


@pytest.mark.parametrize(("flags", "has_it"), [("avx512_vnni amx_tile amx_int8 fsrm", True), ("avx512_vnni", False)])
def test_amx_is_found_in_the_processors_flags(tmp_path: Path, flags: str, has_it: bool):
    cpu_flags = tmp_path / "cpuinfo"
    cpu_flags.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\nbogomips\t: 4800.00\n")

    assert has_amx_int8(cpu_flags) is has_it
    assert not has_amx_int8(tmp_path / "missing on other systems")


@pytest.mark.parametrize("samples", [1, 400, 559, 560, 16_000, 16_160, 80_000, 480_000])
def test_audio_padded_to_equally_many_frames_has_one_batch_key(samples: int):
    runtime = loaded(SELFTEST_FOLDER)
    audio = WavAudio(bytes(2 * samples))

    assert runtime.batch_key(audio)[0] == padded_length(QUERIES + len(runtime.features(audio)))


def test_a_batch_takes_no_longer_than_the_longest_clip():
    runtime = loaded(SELFTEST_FOLDER)
    at_most = [runtime.batch_key(WavAudio(bytes(2 * 16_000 * duration_s)))[1] for duration_s in (1, 5, 30)]

    assert at_most == [21, 5, 1]


def test_exports_of_other_projects_are_decoded_one_clip_at_a_time(digits: WavAudio):
    assert loaded(LAYOUTS["sherpa"]).batch_key(digits)[1] == 1


def test_serving_needs_neither_torch_nor_funasr():
    program = f"""
import sys
from pathlib import Path
sys.modules |= dict.fromkeys(("torch", "funasr", "modelscope", "yaml"))  # importing any of them fails
from rapl_sensevoice.app import create_app
from rapl_sensevoice.runtimes.openvino import OpenVinoRuntime
OpenVinoRuntime("int8", 1).load(Path({str(SELFTEST_FOLDER)!r}))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)

    assert ended.returncode == 0, ended.stderr


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux has this file")
def test_memory_does_not_grow_with_every_new_length():
    program = f"""
import mmap
from pathlib import Path
from rapl_protocol.audio import WavAudio
from rapl_sensevoice.runtimes.openvino import OpenVinoRuntime
from rapl_sensevoice.runtimes.runtime import Decoded, DecodeRequest
runtime = OpenVinoRuntime("int8", 1)
runtime.load(Path({str(SELFTEST_FOLDER)!r}))
for frames in range(300):
    silence = WavAudio(bytes(16_000 + frames * 1_920))
    runtime.decode_batch([DecodeRequest(runtime.features(silence), None, with_times=False)])
    if frames in (149, 299):
        print(int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE / 1e6)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)

    after_150_mb, after_300_mb = map(float, ended.stdout.split())
    assert after_300_mb - after_150_mb < 100  # 450 with OpenVINO's default cache, 17 with ours
