"""Sets the servers up, and plays the recordings to them."""

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from random import Random

from rapl_bench import recordings
from rapl_bench.fleet import SELFTEST, SENSEVOICE_PYTHON, Fleet
from rapl_bench.groups.keywords.speech import COMMANDS, LISTED_WORDS, spoken
from rapl_bench.groups.realtime import tables
from rapl_bench.groups.realtime.contestants import REAL_PYTHON, Rapl, engine, whisper_live_kit
from rapl_bench.groups.realtime.tables import AT_ONCE, UPLOAD, Clip
from rapl_bench.groups.registry import GroupUnavailable
from rapl_bench.real.models import BASE, TINY_EN, RealModel, real_models
from rapl_bench.real.packages import PackageUnavailable, RealPackages
from rapl_bench.real.recordings import RealRecordings
from rapl_bench.reporting.results import BenchSettings, Table

_QUICK_CLIPS = 2
_WORDS = (8, 12, 12, 16, 16, 20, 24, 32) * 3
"""Lengths of the recordings for the self-test model. Its sample again and again would look like a decoder's loop."""
_SNR_DB = 40.0
_SESSIONS = (1, 4, 8, 16)
_QUICK_SESSIONS = (1, 2)


async def measure(settings: BenchSettings) -> Sequence[Table]:
    """Returns the tables of sensevoice-service, and of Whisper if its weights are installed.

    Raises:
        GroupUnavailable: the environment of sensevoice-service is missing.
        SessionFailed: a server answered with an error.
    """
    if not os.environ.get(SENSEVOICE_PYTHON):
        raise GroupUnavailable("the environment of sensevoice-service could not be made")
    if not settings.quick and shutil.which("espeak-ng") is None:
        raise GroupUnavailable("espeak-ng is missing")
    found = await _sensevoice(settings)
    real_python = os.environ.get(REAL_PYTHON)
    if not real_python:
        note = "Whisper was not measured: the environment with its weights could not be made."
        return [tables.noted(found[0], note), *found[1:]]
    packages = RealPackages(real_python, settings.cache / "real")
    try:
        models, clips = await asyncio.to_thread(_published, packages, settings)
    except PackageUnavailable as error:
        return [tables.noted(found[0], f"Whisper was not measured: {error}."), *found[1:]]
    return [*await _whisper(settings, real_python, models, clips), *found]


async def _sensevoice(settings: BenchSettings) -> list[Table]:
    clips = [Clip("sample", "en", None, recordings.speech(5.0).tobytes())] if settings.quick else list(_spoken_words())
    with Fleet(settings.scratch) as fleet:
        slowed = fleet.start(engine(sys.executable, ["slowed", fleet.sensevoice().url], fleet.log("slowed")))
        gateway = fleet.gateway(slowed, fleet.preprocess())
        rapl = Rapl(gateway.url, fleet.log("gateway"))
        found = await tables.played(tables.contestants(rapl, SELFTEST), clips)
        return [
            tables.figures("SenseVoice's time, the self-test model", SELFTEST, clips, found),
            tables.equality(SELFTEST, list(zip(clips, found[AT_ONCE], found[UPLOAD], strict=True)), "Spoken words."),
            await tables.lag(rapl, SELFTEST, clips[len(clips) // 2], _sessions(settings)),
        ]


def _spoken_words() -> Iterator[Clip]:
    random = Random(0)
    for number, count in enumerate(_WORDS, start=1):
        text = " ".join(random.choices((*COMMANDS, *LISTED_WORDS), k=count))
        yield Clip(f"words-{number}", "en", None, spoken(text, "en-us", random, _SNR_DB))


async def _whisper(
    settings: BenchSettings, python: str, models: dict[str, RealModel], clips: Sequence[Clip]
) -> list[Table]:
    english = [clip for clip in clips if clip.language == "en"]
    served = [f"{model.id}={model.ctranslate2}" for model in models.values()]
    with Fleet(settings.scratch) as fleet, ExitStack() as stack:
        whisper = fleet.start(engine(python, ["whisper", *served], fleet.log("whisper")))
        gateway = fleet.gateway(whisper, fleet.preprocess(), engine_url="RAPL_MLX_URL", models=tuple(models))
        rapl = Rapl(gateway.url, fleet.log("gateway"))
        other, note = await asyncio.to_thread(whisper_live_kit, stack, models[TINY_EN], fleet.log("whisper-live-kit"))
        found = await tables.played(tables.contestants(rapl, TINY_EN, other), english)
        compared = list(zip(english, found[AT_ONCE], found[UPLOAD], strict=True))
        if foreign := [clip for clip in clips if clip.language != "en"]:
            listeners = tables.contestants(rapl, BASE)
            received = await tables.played({name: listeners[name] for name in (AT_ONCE, UPLOAD)}, foreign)
            compared += zip(foreign, received[AT_ONCE], received[UPLOAD], strict=True)
        return [
            tables.figures("Whisper tiny.en, people's speech", TINY_EN, english, found, note),
            tables.equality("whisper", compared, "English with tiny.en, other languages with base."),
        ]


def _published(packages: RealPackages, settings: BenchSettings) -> tuple[dict[str, RealModel], list[Clip]]:
    """The models by id, and recordings with speech, in a quick run the first two of English."""
    found = [clip for clip in RealRecordings(packages).clips() if clip.language]
    if settings.quick:
        found = [clip for clip in found if clip.language == "en"][:_QUICK_CLIPS]
    clips = [Clip(each.name, each.language or "", each.reference, each.pcm().tobytes()) for each in found]
    return real_models(packages), clips


def _sessions(settings: BenchSettings) -> Sequence[int]:
    return _QUICK_SESSIONS if settings.quick else _SESSIONS
