"""People's speech with its text, and sounds without speech.

From the folder `real-speech` where it is present, and always from the packages: Asterisk's prompts and moonshine-voice.
"""

import gzip
import json
import re
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from rapl_protocol.audio import SAMPLE_RATE_HZ, WavAudio

from rapl_bench.real.packages import SOUNDS, RealPackages

SHARED = Path(__file__).parents[5] / "shared" / "real-speech"
"""Beside the repository, on the machines of this project's developers."""
MAX_CLIP_S = 30.0
"""The longest audio that one segment holds."""
TWO_CITIES = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it "
    "was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of "
    "Darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing "
    "before us, we were all going direct to Heaven, we were all going direct the other way - in short, the period was "
    "so far like the present period, that some of its noisiest authorities insisted on its being received, for good or "
    "for evil, in the superlative degree of comparison only."
)
"""Source: Charles Dickens, A Tale of Two Cities, 1859, which is in the public domain."""
BECKETT = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."
_UNSPOKEN = re.compile(r"[][<>()?]")
"""In Asterisk's texts: a description of a sound, a remark, or a letter that was lost in a conversion."""
_PROMPTS_AS_CLIPS, _MIN_PROMPT_S = 4, 4.0


@dataclass(frozen=True, slots=True)
class RealRecording:
    name: str
    """Unique together with the source."""
    source: str
    """"real-speech", "moonshine-voice", "asterisk-" with a language, or "generated"."""
    language: str | None
    """ISO 639-1; None: no speech, or several languages."""
    reference: str | None
    """What is said; "" where there is no speech, None where it is not known."""
    file: Path

    @property
    def duration_s(self) -> float:
        """Duration by the header of the file, which must be a WAV."""
        return _duration_s(self.file)

    def pcm(self) -> np.ndarray:
        """int16, (samples,), 16 kHz."""
        resampler = AudioResampler("s16", "mono", SAMPLE_RATE_HZ)
        with av.open(str(self.file)) as container:
            frames = [ready for frame in container.decode(audio=0) for ready in resampler.resample(frame)]
        frames += resampler.resample(None)
        return np.concatenate([frame.to_ndarray()[0] for frame in frames])

    def wav(self) -> bytes:
        """A canonical WAV file: 16 kHz, mono, 16 bit."""
        return to_wav(self.pcm())


@dataclass(frozen=True, slots=True)
class Joined:
    """Recordings one after another, with pauses."""

    pcm: np.ndarray
    """int16, (samples,), 16 kHz."""
    places: tuple[tuple[RealRecording, float, float], ...]
    """Each recording with its start and end in seconds."""

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / SAMPLE_RATE_HZ

    @property
    def reference(self) -> str:
        return " ".join(recording.reference for recording, _, _ in self.places if recording.reference)

    def wav(self) -> bytes:
        return to_wav(self.pcm)


def to_wav(pcm: np.ndarray) -> bytes:
    """Samples (int16, 16 kHz) as a canonical WAV file."""
    return WavAudio(pcm.astype("<i2").tobytes()).to_wav()


class RealRecordings:
    """All recordings that are available here.

    Args:
        packages: where the packages' recordings are.
        folder: the folder `real-speech`; if it does not exist, the packages' recordings are all there is.
    """

    def __init__(self, packages: RealPackages, folder: Path = SHARED) -> None:
        self._packages = packages
        self._folder = folder if folder.exists() else None

    def clips(self) -> list[RealRecording]:
        """Recordings with speech of up to 30 s, in several languages. Some have no reference."""
        found = [recording for recording in self._shared() if recording.reference != ""]
        if not found:
            found = [recording for recording in self.moonshine() if recording.name != "two_cities"]
            for language in SOUNDS:
                prompts = (prompt for prompt in self.prompts(language) if _duration_s(prompt.file) >= _MIN_PROMPT_S)
                found += islice(prompts, _PROMPTS_AS_CLIPS)
        return [recording for recording in found if len(recording.pcm()) <= MAX_CLIP_S * SAMPLE_RATE_HZ]

    def by_name(self, name: str) -> RealRecording | None:
        """A recording of the folder `real-speech`; None without the folder."""
        return next((recording for recording in self._shared() if recording.name == name), None)

    def prompts(self, language: str) -> list[RealRecording]:
        """Asterisk's prompts with a text, all by one speaker, sorted by name. They have 8 kHz.

        Args:
            language: a key of SOUNDS. The Spanish texts lack most accents.
        """
        recordings, texts = map(self._packages.debian, SOUNDS[language])
        [folder] = (recordings / "usr/share/asterisk/sounds").iterdir()
        [text_file] = texts.rglob(f"core-sounds-{language}.txt.gz")
        source = f"asterisk-{language}"
        lines = (line.split(":", 1) for line in gzip.decompress(text_file.read_bytes()).decode("utf-8-sig").splitlines()
                 if ":" in line and not line.startswith(";"))  # fmt: skip
        named = {name.strip(): text.strip() for name, text in lines}
        return [
            RealRecording(name, source, language, named[name], folder / f"{name}.wav")
            for name in sorted(named)
            if (folder / f"{name}.wav").exists() and not _UNSPOKEN.search(named[name])
        ]

    def moonshine(self) -> list[RealRecording]:
        """Read English: 10, 31 and 44 s."""
        folder = self._packages.folder("moonshine_voice") / "assets"
        texts = {"beckett": BECKETT, "endgame_nagg_nell": None, "two_cities": TWO_CITIES}
        return [
            RealRecording(name, "moonshine-voice", "en", text, folder / f"{name}.wav") for name, text in texts.items()
        ]

    def sounds(self) -> list[RealRecording]:
        """Sounds without a word: animals, horns, tones, noise and silence."""
        found = [recording for recording in self._shared() if recording.reference == ""]
        folder = self._packages.debian(SOUNDS["en"][0]) / "usr/share/asterisk/sounds/en_US_f_Allison"
        names = ("ascending-2tone", "beep", "beeperr", "descending-2tone", "silence/5", "tt-monkeys")
        found += [RealRecording(name, "asterisk-en", None, "", folder / f"{name}.wav") for name in names]
        generated = self._packages.cache / "generated"
        generated.mkdir(parents=True, exist_ok=True)
        for name, pcm in _generated().items():
            (generated / f"{name}.wav").write_bytes(to_wav(pcm))
            found.append(RealRecording(name, "generated", None, "", generated / f"{name}.wav"))
        return found

    def _shared(self) -> Iterable[RealRecording]:
        if not self._folder:
            return ()
        entries = json.loads((self._folder / "index.json").read_text(encoding="utf-8"))
        return [
            RealRecording(
                Path(entry["file"]).stem,
                "real-speech",
                None if entry["language"] == "xx" else entry["language"],
                entry["reference"],
                self._folder / "clips" / entry["file"],
            )
            for entry in entries
        ]


def joined(parts: Sequence[RealRecording], pauses_s: tuple[float, float], seed: int = 0) -> Joined:
    """The parts in their order, each after a silence of a random length within `pauses_s`; one more at the end."""
    random = np.random.default_rng(seed)
    pieces: list[np.ndarray] = []
    places: list[tuple[RealRecording, float, float]] = []
    samples = 0
    for part in parts:
        pause, pcm = _silence(random.uniform(*pauses_s)), part.pcm()
        start = samples + len(pause)
        samples = start + len(pcm)
        pieces += [pause, pcm]
        places.append((part, start / SAMPLE_RATE_HZ, samples / SAMPLE_RATE_HZ))
    return Joined(np.concatenate([*pieces, _silence(pauses_s[0])]), tuple(places))


def _silence(duration_s: float) -> np.ndarray:
    return np.zeros(round(duration_s * SAMPLE_RATE_HZ), np.int16)


def _generated() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    at_s = np.arange(5 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    return {
        "silence": _silence(5),
        "soft-noise": random.normal(0, 30, len(at_s)).astype(np.int16),
        "loud-noise": random.normal(0, 3000, len(at_s)).astype(np.int16),
        "tone": (8000 * np.sin(2 * np.pi * 440 * at_s)).astype(np.int16),
    }


def _duration_s(file: Path) -> float:
    """Of one of Asterisk's files, from its header."""
    with wave.open(str(file)) as content:
        return content.getnframes() / content.getframerate()
