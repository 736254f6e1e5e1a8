"""Audio that arrives as it is spoken: from the microphone, or from a file."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.error import FFmpegError

from rapl_cli.errors import CommandError, UsageError

_FILE_RATE_HZ = 24_000
_PIECE_S = 0.05
_BYTES_PER_SAMPLE = 2


class AudioFile:
    """The sound of an audio or video file, as fast as it is spoken."""

    rate_hz = _FILE_RATE_HZ

    def __init__(self, file: Path) -> None:
        """Raises: UsageError: there is no such file."""
        if not file.is_file():
            raise UsageError(f"{file}: no such file")
        self._file = file

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Mono s16le. Raises: CommandError: the file has no sound that can be decoded."""
        loop = asyncio.get_running_loop()
        began, sent_s = loop.time(), 0.0
        for piece in self._decoded():
            await asyncio.sleep(began + sent_s - loop.time())
            yield piece
            sent_s += len(piece) / (self.rate_hz * _BYTES_PER_SAMPLE)

    def _decoded(self) -> Generator[bytes]:
        resampler = AudioResampler(
            format="s16", layout="mono", rate=self.rate_hz, frame_size=int(self.rate_hz * _PIECE_S)
        )
        try:
            with av.open(str(self._file)) as container:
                if not container.streams.audio:
                    raise CommandError(f"{self._file}: it has no sound")
                for frame in container.decode(audio=0):
                    for part in resampler.resample(frame):
                        yield part.to_ndarray().tobytes()
                for part in resampler.resample(None):
                    yield part.to_ndarray().tobytes()
        except FFmpegError as error:
            raise CommandError(f"{self._file}: it cannot be decoded ({error.strerror})") from error


class Microphone:
    """The microphone that the system uses by default, at its own rate."""

    def __init__(self) -> None:
        """Raises: CommandError: there is none."""
        self._sounddevice = _sounddevice()
        try:
            device = self._sounddevice.query_devices(kind="input")
        except (ValueError, self._sounddevice.PortAudioError) as error:
            remedy = "Connect one, or use --file FILE."
            raise CommandError("this system has no microphone", remedy) from error
        self.rate_hz = int(device["default_samplerate"])

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Mono s16le, without an end. Raises: CommandError: the microphone cannot be used."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[bytes] = asyncio.Queue()

        def recorded(piece: Any, *_: object) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, bytes(piece))

        try:
            with self._sounddevice.RawInputStream(
                self.rate_hz, int(self.rate_hz * _PIECE_S), channels=1, dtype="int16", callback=recorded
            ):
                while True:
                    yield await queue.get()
        except self._sounddevice.PortAudioError as error:
            raise CommandError(f"the microphone cannot be used: {error.args[0]}") from error


def _sounddevice() -> Any:
    """The library, which looks for PortAudio when it is imported: only Macs have that with it."""
    try:
        import sounddevice
    except OSError as error:
        remedy = "On Debian: apt-get install libportaudio2. `rapl listen --file FILE` needs none."
        raise CommandError("the microphone needs the library PortAudio, which is not installed", remedy) from error
    return sounddevice
