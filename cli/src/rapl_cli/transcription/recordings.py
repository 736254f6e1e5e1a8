"""Finds the recordings that command-line arguments name, and the output file of each."""

import glob
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_AUDIO = "aac ac3 aif aiff amr ape au caf flac m4a m4b mka mp2 mp3 oga ogg opus tta wav wma wv"
_VIDEO = "3gp asf avi flv m2ts m4v mkv mov mp4 mpeg mpg ogv webm wmv"
MEDIA = frozenset(f".{name}" for name in f"{_AUDIO} {_VIDEO}".split())
FORMATS = ("txt", "srt", "vtt", "json")
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
        except FileNotFoundError:
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
    if path.is_file():  # `rapl transcribe folder/*` also names its own transcripts, which are not recordings
        return path.parent, [path] if path.suffix.lower() not in _RESULTS else []
    fixed = path
    while glob.has_magic(str(fixed)):
        fixed = fixed.parent
    files: list[Path] = []
    for match in map(Path, sorted(glob.glob(str(path), recursive=True)) if fixed != path else ()):
        files += _below(match) if match.is_dir() else [match] if _is_media(match) else []
    return fixed, list(dict.fromkeys(files))


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (file for name in sorted(names) if _is_media(file := Path(parent, name)))


def _is_media(file: Path) -> bool:
    is_hidden = file.name.startswith(".")  # macOS writes `._talk.mp3` beside `talk.mp3` on other file systems
    return not is_hidden and file.suffix.lower() in MEDIA and file.is_file()


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
