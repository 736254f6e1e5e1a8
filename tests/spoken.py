"""Speech with known words, made by eSpeak NG. Its library comes from a Python package, so that tests need no system
package. The same text and voice always give the same samples."""

import ctypes
from functools import cache
from io import BytesIO

import av
import espeakng_loader
import numpy as np
import soundfile
from av.audio.resampler import AudioResampler

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_RATE_PARAMETER = 1
_UTF8 = 1
_OnSamples = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Voice:
    """Source of the calls: speak_lib.h of eSpeak NG 1.52."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        folder = espeakng_loader.get_data_path().encode()
        self._rate_hz = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, folder, 0)
        self._pcm = bytearray()
        self._on_samples = _OnSamples(self._take)  # a reference: the library calls it later
        self._library.espeak_SetSynthCallback(self._on_samples)

    def _take(self, samples, count: int, _) -> int:
        if count > 0:
            self._pcm += ctypes.string_at(samples, 2 * count)
        return 0

    def say(self, text: str, voice: str, words_per_minute: int) -> np.ndarray:
        self._pcm.clear()
        assert self._library.espeak_SetVoiceByName(voice.encode()) == 0, f"eSpeak NG has no voice {voice!r}"
        self._library.espeak_SetParameter(_RATE_PARAMETER, words_per_minute, 0)
        words = text.encode()
        assert self._library.espeak_Synth(words, len(words) + 1, 0, 0, 0, _UTF8, None, None) == 0
        self._library.espeak_Synchronize()
        return np.frombuffer(bytes(self._pcm), np.int16), self._rate_hz


@cache
def _voice() -> _Voice:
    return _Voice()


@cache
def say(text: str, voice: str = "en-us", words_per_minute: int = 165) -> bytes:
    """16 kHz mono s16le."""
    samples, rate_hz = _voice().say(text, voice, words_per_minute)
    wav = BytesIO()
    soundfile.write(wav, samples, rate_hz, format="WAV")
    resampler = AudioResampler(format="s16", layout="mono", rate=16_000)
    with av.open(BytesIO(wav.getvalue())) as container:
        frames = [frame for decoded in container.decode(audio=0) for frame in resampler.resample(decoded)]
    return b"".join(frame.to_ndarray().tobytes() for frame in [*frames, *resampler.resample(None)])
