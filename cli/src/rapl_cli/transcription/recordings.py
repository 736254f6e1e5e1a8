"""Finds the recordings that command-line arguments name, and the output file of each."""

import glob
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_AUDIO = """
3ga aa aa3 aac aax ac3 ac4 adx aea aif aifc aiff al amr ape apl aptx aptxhd au awb bonk bwf c2 caf dfpwm dss dts dtshd
eac3 ec3 f4a f4b flac g722 g723_1 g728 g729 gsm hca iamf ircam isma laf lc3 m2a m4a m4b m4p m4r mac mka mlp mp2 mp3
mpa mpc msbc nist nsp oga ogg oma omg opus osq paf pvf qoa qta ra rf64 rka sbc shn snd sph spx tak thd tta ul voc vqf
w64 wa wav wave weba wma wsd wv
"""
_VIDEO = """
3g2 3gp 3gp2 3gpp amv asf avi dav dif divx dv f4v flv gxf ism ismv ivr kux m2t m2ts m4v mj2 mk3d mkv mov mp4 mpe mpeg
mpg mts mxf nut ogm ogv ogx psp qt rm rmvb ts ty viv vob webm wmv wtv
"""
MEDIA = frozenset(f".{name}" for name in f"{_AUDIO} {_VIDEO}".split())
"""Suffixes of files with audio. Left out are those that more often belong to other files, such as `.dat`."""
_TRANSPORT_STREAM = ".ts"
_TRANSPORT_STREAM_BEGIN = b"G"
"""First byte of an MPEG transport stream. Source files of TypeScript have the same suffix."""
FORMATS = ("txt", "srt", "vtt", "json")
_BEGINNING_BYTES = 4096
_RESULTS = frozenset(f".{name}" for name in FORMATS)


@dataclass(frozen=True)
class Recording:
    source: Path
    output: Path

    @property
    def is_done(self) -> bool:
        """Whether its transcript exists and is not older than the recording."""
        try:
            return self.output.stat().st_mtime_ns >= self.source.stat().st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return False


@dataclass
class Found:
    """The result of `find`. `files` are absolute media files, in the order of the arguments."""

    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    """For each argument, the folder that was searched."""
    missing: list[str] = field(default_factory=list)
    """Arguments that match no file."""
    empty: list[str] = field(default_factory=list)
    """Arguments that name a transcript or a folder without recordings."""


def find(arguments: Iterable[str]) -> Found:
    """Finds files with any suffix, and files with a media suffix in folders and globs."""
    found, seen = Found(), set[Path]()
    for argument in arguments:
        path = Path(os.path.abspath(os.path.expanduser(argument)))
        folder, files = _matches(path)
        if not files:
            (found.empty if path.exists() else found.missing).append(argument)
            continue
        found.folders.append(folder)
        found.files += [file for file in files if file not in seen]
        seen.update(files)
    return found


def recordings(found: Found, suffix: str, output_dir: Path | None) -> list[Recording]:
    """Each file with its output: `talk.srt` for `talk.mp3`, or `talk.mp3.srt` if two files would share that name.

    The folder tree below the current folder is repeated in `output_dir`. For files from elsewhere, it is the tree below
    the deepest folder that contains all of them.
    """
    if not found.files:
        return []
    base, current = Path(os.path.commonpath(found.folders)), Path.cwd()
    base = current if base.is_relative_to(current) else base
    names = _output_names(found.files, suffix)
    root = output_dir and Path(os.path.abspath(output_dir))
    folders = (root / file.parent.relative_to(base) if root else file.parent for file in found.files)
    return [Recording(file, folder / names[file]) for file, folder in zip(found.files, folders, strict=True)]


def write_atomically(file: Path, content: bytes) -> None:
    """Writes a temporary file and renames it, so that `file` is never incomplete. Raises: OSError."""
    part = file.parent / f".rapl-{secrets.token_hex(8)}.part"
    try:
        with part.open("xb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _matches(path: Path) -> tuple[Path, list[Path]]:
    if path.is_dir():
        return path, list(_below(path))
    if path.is_file():
        return path.parent, [] if _is_transcript(path) else [path]
    fixed = path
    while glob.has_magic(str(fixed)):
        fixed = fixed.parent
    files: list[Path] = []
    for match in map(Path, sorted(glob.glob(str(path), recursive=True)) if fixed != path else ()):
        files += _below(match) if match.is_dir() else [match] if _is_media(match) else []
    return fixed, list(dict.fromkeys(files))


def _is_transcript(file: Path) -> bool:
    """Whether the file is text with the suffix of a transcript: `rapl transcribe folder/*` also names transcripts."""
    if file.suffix.lower() not in _RESULTS:
        return False
    try:
        with file.open("rb") as opened:
            return b"\0" not in opened.read(_BEGINNING_BYTES)  # every format of audio has zeros there
    except OSError:
        return False  # it is named, and the reason why it cannot be read is shown with it


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (file for name in sorted(names) if _is_media(file := Path(parent, name)))


def _is_media(file: Path) -> bool:
    is_hidden = file.name.startswith(".")  # macOS writes `._talk.mp3` beside `talk.mp3` on other file systems
    suffix = file.suffix.lower()
    if is_hidden or suffix not in MEDIA or not file.is_file():
        return False
    return suffix != _TRANSPORT_STREAM or _begins_with(file, _TRANSPORT_STREAM_BEGIN)


def _begins_with(file: Path, beginning: bytes) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(beginning)) == beginning
    except OSError:
        return True  # it is named, and the reason why it cannot be read is shown with it


def _output_names(files: Sequence[Path], suffix: str) -> dict[Path, str]:
    """Output names by file. All media files of a folder count, so that a name is the same in every run."""
    names: dict[Path, str] = {}
    for folder in {file.parent for file in files}:
        ours = [file for file in files if file.parent == folder]
        siblings = {*ours, *filter(_is_media, folder.iterdir())}
        taken = Counter(name.casefold() for file in siblings for name in {file.stem, file.name})
        for file in ours:
            is_shared = taken[file.stem.casefold()] > 1
            names[file] = f"{file.name if is_shared else file.stem}.{suffix}"
    return names
