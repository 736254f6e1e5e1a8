"""Prints, as JSON, what a model writes for an audio file without a draft and with several, and how often it computed.

    python decode_with_draft.py FOLDER WAV
    {"plain": [text, calls], "same": ..., "end": ..., "middle": ..., "foreign": ...}

The drafts: its own text, one without its last two words, one with another word in the middle, and one about something
else. `calls` counts the calls of the part that computes token after token. Needs a Python with mlx-audio and rapl-mlx.
"""

import json
import sys
from pathlib import Path
from typing import Any

from rapl_mlx.families import family_of
from rapl_mlx.families.results import ResultListener
from rapl_protocol.audio import WavAudio
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript


class Counted:
    """A callable part of a model that counts its calls."""

    def __init__(self, part: Any) -> None:
        self.part = part
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part, name)

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.calls += 1
        return self.part(*given, **named)


class Model:
    """The real model in this process."""

    def __init__(self, folder: Path, wav: Path) -> None:
        from mlx_audio.stt import load

        self._model = load(folder, strict=True)
        self._family = family_of(self._model)
        self._wav = wav
        self._audio = WavAudio.from_wav(wav.read_bytes())
        owner = getattr(self._model, "_model", self._model)
        name = "decoder" if hasattr(owner, "decoder") else "model"
        self._counted = Counted(getattr(owner, name))
        setattr(owner, name, self._counted)

    def transcribe(self, draft: Transcript | None = None) -> tuple[Transcript, int]:
        options = TranscribeOptions(model="a/b", language="en", draft=draft, temperature=0.0)
        arguments = self._family.arguments(options, self._audio.duration_s)
        if "verbose" in arguments:  # Whisper with random weights: its text ends at no token, and no attempt is good
            arguments |= {"sample_len": 20, "return_timestamps": False, "temperature": (0.0,)}
            arguments |= {"compression_ratio_threshold": None, "logprob_threshold": None, "no_speech_threshold": None}
        self._counted.calls = 0
        result = self._family.generate(self._model, str(self._wav), arguments, ResultListener())
        return self._family.transcript(result, options, self._audio.duration_s), self._counted.calls


def changed(transcript: Transcript, change: Any) -> Transcript:
    """The transcript with other words, or other tokens where it has tokens. `change` gets a list and returns one."""
    segments: list[Segment] = []
    for segment in transcript.segments:
        if segment.decoding and segment.decoding.tokens:
            tokens = tuple(change(list(segment.decoding.tokens)))
            segment = segment.model_copy(update={"decoding": segment.decoding.model_copy(update={"tokens": tokens})})
        segments.append(segment)
    text = " ".join(map(str, change(transcript.text.split())))
    return transcript.model_copy(update={"text": text, "segments": tuple(segments)})


def main(folder: Path, wav: Path) -> None:
    model = Model(folder, wav)
    plain, calls = model.transcribe()
    drafts = {
        "same": plain,
        "end": changed(plain, lambda items: items[:-2]),
        "middle": changed(plain, lambda items: [*items[: len(items) // 2], 300, *items[len(items) // 2 + 1 :]]),
        "foreign": changed(plain, lambda items: [300, -1, 10**6, *items[1:]]),
    }
    found = {name: model.transcribe(draft) for name, draft in drafts.items()}
    json.dump({"plain": (plain.text, calls)} | {name: (t.text, n) for name, (t, n) in found.items()}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
