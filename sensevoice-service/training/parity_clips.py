"""Makes parity.opus and parity.json in tests/runtimes: 240 clips of synthetic speech and other sounds, and their ends.

python sensevoice-service/training/parity_clips.py
"""

import json
import random
from pathlib import Path

import numpy as np
import soundfile
import speech
from corpus import ENGLISH_VOICES, VARIANTS
from vocabulary import LEXICONS

TESTS = Path(__file__).parents[1] / "tests" / "runtimes"
CLIPS = 240
OPUS_COMPRESSION = 0.93
"""libsndfile's level: 1 is the smallest, this about 20 kbit/s."""


def make_clip(rng: random.Random, index: int) -> speech.Signal:
    if index % 12 == 0:
        samples = int(rng.uniform(0.4, 5) * speech.SAMPLE_RATE_HZ)
        sound = speech.noise(samples, rng) if index % 24 == 0 else speech.music(samples, rng)
        return speech.scaled_to_peak(sound, 0.05)
    language = "zh" if index % 3 == 0 else "en"
    lexicon = LEXICONS[language]
    words = [rng.choice(lexicon.digits + lexicon.commands) for _ in range(rng.randint(1, 7))]
    voice = "cmn" if language == "zh" else rng.choice(ENGLISH_VOICES)
    if rng.random() < 0.6:
        voice = f"{voice}+{rng.choice(VARIANTS)}"
    spoken = lexicon.spoken(words, [False] * len(words))
    signal = speech.synthesise(spoken, voice, speed_wpm=rng.randint(120, 220), pitch=rng.randint(25, 75))
    signal = speech.with_silence(signal, rng.uniform(0, 0.6), rng.uniform(0, 0.6))
    if rng.random() < 0.5:
        signal = speech.mix(signal, speech.noise(len(signal), rng), rng.uniform(8, 30))
    return speech.scaled_to_peak(signal, 0.5)


def main() -> None:
    clips = [make_clip(random.Random(f"parity/{index}"), index) for index in range(CLIPS)]
    soundfile.write(
        TESTS / "parity.opus", np.concatenate(clips), speech.SAMPLE_RATE_HZ, format="OGG", subtype="OPUS",
        compression_level=OPUS_COMPRESSION,
    )  # fmt: skip
    ends = np.cumsum([len(clip) for clip in clips]).tolist()
    (TESTS / "parity.json").write_text(json.dumps(ends) + "\n")


if __name__ == "__main__":
    main()
