"""This machine: the checkout, the system, the processor, memory and free disk space."""

import platform
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import psutil
from rapl_service.calls.remedies import FREE_TEMPORARY_SPACE

from rapl_cli.checkout import MACHINE_CHECK, ROOT
from rapl_cli.checks.check import Check, Scene

_LITTLE_MEMORY_BYTES = 2 << 30
"""SenseVoiceSmall with OpenVINO takes about 0.7 GB, its conversion about 3 GB."""
_MODEL_BYTES = 3 << 30
"""The download of SenseVoiceSmall, about 0.9 GB, its converted graph, and room for both during the conversion."""
_LEAST_TEMPORARY_BYTES, _FEW_TEMPORARY_BYTES = 64 << 20, 1 << 30
"""Below the first no larger upload fits; a file of the largest size that is accepted needs the second."""


def checkout(scene: Scene) -> Check:
    """The version, and the commit if Git tells it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        commit = ""
    return Check.ok("rapl", f"{version('rapl-cli')}{f' ({commit})' if commit else ''} in {ROOT}")


def system(scene: Scene) -> Check:
    machine = platform.machine()
    name = f"macOS {platform.mac_ver()[0]}" if scene.system == "Darwin" else f"{scene.system} {platform.release()}"
    text = f"{name}, {machine}, Python {platform.python_version()}"
    if scene.system != "Darwin":
        return Check.ok("system", text)
    if machine != "arm64" and _sysctl("sysctl.proc_translated") == "1":
        remedy = "Install a native arm64 Python, delete the folders .venv and .rapl, and start again."
        return Check.warning("system", f"{text}: this Python is translated by Rosetta, so it is slow", remedy)
    reason = subprocess.run([sys.executable, str(MACHINE_CHECK)], capture_output=True, text=True, timeout=60).stderr
    if reason:
        return Check.warning("system", text, reason.strip())
    return Check.ok("system", text)


def processor(scene: Scene) -> Check:
    """Whether the processor has the instructions that OpenVINO's int8 matrices need to be fast."""
    features = _processor_features(scene)
    cores = f"{psutil.cpu_count(logical=True)} cores"
    if platform.machine().lower() in ("arm64", "aarch64"):
        fast = next((name for name in ("i8mm", "dotprod") if features & _ALIASES[name]), None)
        return Check.ok("processor", f"{cores}, NEON{f' with {fast}' if fast else ''}")
    for name in ("AVX512-VNNI", "AVX-VNNI", "AVX2"):
        if features & _ALIASES[name]:
            note = "" if name != "AVX2" else "; without VNNI int8 is about half as fast"
            return Check.ok("processor", f"{cores}, {name}{note}")
    if not features:
        return Check.skipped("processor", f"{cores}; the system does not tell its instructions")
    remedy = "Use another machine for long recordings, and point RAPL_SENSEVOICE_URL to it."
    return Check.warning("processor", f"{cores} without AVX2: SenseVoice is slow here", remedy)


_ALIASES = {
    "AVX512-VNNI": {"avx512_vnni", "avx512vnni"},
    "AVX-VNNI": {"avx_vnni", "avxvnni"},
    "AVX2": {"avx2"},
    "i8mm": {"i8mm", "hw.optional.arm.feat_i8mm"},
    "dotprod": {"asimddp", "hw.optional.arm.feat_dotprod"},
}
"""The names by which Linux and macOS list each set of instructions, in lower case."""


def memory(scene: Scene) -> Check:
    memory = psutil.virtual_memory()
    text = f"{_gigabytes(memory.available)} of {_gigabytes(memory.total)} free"
    if memory.available < _LITTLE_MEMORY_BYTES and scene.supervisor is None:
        return Check.warning("memory", text, "Close other programs before you start the services.")
    return Check.ok("memory", text)


def model_disk(scene: Scene) -> Check:
    chosen = scene.environ.get("RAPL_SENSEVOICE_MODEL_DIR") or "~/.cache/rapl/models"
    folder = Path(chosen).expanduser()
    free = psutil.disk_usage(str(_existing(folder))).free
    text = f"{_gigabytes(free)} free for models in {chosen}"
    if free < _MODEL_BYTES and not any(folder.glob("*/*/*")):
        remedy = "Free 3 GB, or set RAPL_SENSEVOICE_MODEL_DIR to a folder on another disk."
        return Check.warning("disk: models", text, remedy)
    return Check.ok("disk: models", text)


def temporary_disk(scene: Scene) -> Check:
    # Not `gettempdir()` alone: it takes another folder, without a word, if TMPDIR is full.
    folder = scene.environ.get("TMPDIR") or tempfile.gettempdir()
    free = psutil.disk_usage(str(_existing(Path(folder)))).free
    text = f"{_gigabytes(free)} free for temporary files in {folder}"
    if free < _LEAST_TEMPORARY_BYTES:
        return Check.failed("disk: temporary", f"{text}: uploads over 1 MB are refused", FREE_TEMPORARY_SPACE)
    if free < _FEW_TEMPORARY_BYTES:
        return Check.warning("disk: temporary", f"{text}: not enough for a large upload", FREE_TEMPORARY_SPACE)
    return Check.ok("disk: temporary", text)


def _processor_features(scene: Scene) -> set[str]:
    """The names of the processor's instructions in lower case; empty if the system does not tell them."""
    if scene.system == "Darwin":
        if platform.machine() == "arm64":
            lines = _sysctl("hw.optional.arm", by_name=True).lower().splitlines()
            return {name.strip() for name, _, value in (line.partition(":") for line in lines) if value.strip() == "1"}
        names = f"{_sysctl('machdep.cpu.features')} {_sysctl('machdep.cpu.leaf7_features')}"
        return set(names.lower().split())
    try:
        information = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", information, re.MULTILINE)
    return set(found[1].split()) if found else set()


def _sysctl(name: str, *, by_name: bool = False) -> str:
    """The value on macOS, or with `by_name` all values below it as `name: value`; "" if there is none."""
    arguments = [name] if by_name else ["-n", name]
    try:
        return subprocess.run(["sysctl", *arguments], capture_output=True, text=True, timeout=10).stdout.strip()
    except OSError:
        return ""


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"
