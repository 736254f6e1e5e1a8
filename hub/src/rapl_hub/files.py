"""Hashes and sizes of files and folders, and the atomic write of a small one."""

import hashlib
import os
from pathlib import Path


def sha256_of(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def git_sha1_of(path: Path) -> str:
    """Git's id of a file with this content. Source: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects"""
    header = b"blob %d\0" % path.stat().st_size
    with path.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.sha1(header, usedforsecurity=False)).hexdigest()


def size_of(path: Path) -> int | None:
    """The size in bytes; None if there is no such file."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def folder_bytes(folder: Path) -> int:
    """The size of all files below the folder, without links; 0 if there is no such folder."""
    paths = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    return sum(size_of(path) or 0 for path in paths if not path.is_symlink())


def write_atomically(path: Path, text: str) -> None:
    """Replaces the file in one step, so that a reader gets the old content or the new, but never a part."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(path)
