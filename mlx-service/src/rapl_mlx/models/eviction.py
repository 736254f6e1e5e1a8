"""Keeps loaded models within the memory limit: unloads the least recently used model first, and idle models."""

import asyncio
import logging
from collections.abc import Collection

from rapl_mlx.child.contract import Failure
from rapl_mlx.models.served_model import ServedModel
from rapl_mlx.settings import Settings

_OVERHEAD_BYTES = 300 << 20
"""Memory of a process besides its weights: the interpreter, libraries, and the buffers of one request."""
_SWEEP_S = 1.0
_DRAIN_S = 30.0
_TRY_AGAIN_S = 60.0
_FORGET_S = 600.0
"""A model that only a pattern allows stays listed for this long after its last request, if it is not loaded."""

log = logging.getLogger("rapl.mlx")


class ModelEviction:
    """Unloads models to free memory. Use it in one event loop.

    Args:
        models: all models, by id. Unused models that only a pattern allows are removed from it.
    """

    def __init__(self, models: dict[str, ServedModel], settings: Settings) -> None:
        self._models = models
        self._settings = settings
        self._room_lock = asyncio.Lock()

    async def make_room(self, model: ServedModel, weights_bytes: int) -> Failure | None:
        """Unloads other models until there is memory for this one. Returns a failure if that is impossible."""
        async with self._room_lock:
            model.process.reserved_bytes = needed = weights_bytes + _OVERHEAD_BYTES
            limit = self._settings.memory_limit_bytes
            if needed > limit:
                return _too_large(needed, limit)
            while (excess := self._used_bytes() - limit) > 0:
                candidates = self._candidates(model)
                if not candidates:
                    model.process.reserved_bytes = 0
                    return _no_room(needed, limit - (excess + limit - needed))
                await self._unload(candidates[0], f"model {model.info.id!r} needs its memory")
            return None

    async def run(self) -> None:
        """Checks every model once per second, until it is cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                await self._sweep()
            except Exception:
                log.exception("checking the memory of the models failed")

    async def _sweep(self) -> None:
        for model in list(self._models.values()):
            model.process.kill_if_larger_than(self._settings.model_memory_limit_bytes)
            ttl_s = self._settings.model_ttl_s
            if ttl_s and model in self._idle() and model.unused_s > ttl_s:
                await self._unload(model, f"it was not used for {ttl_s:g} s")
        while self._used_bytes() > self._settings.memory_limit_bytes and (idle := self._idle()):
            await self._unload(idle[0], "all models together exceeded RAPL_MLX_MEMORY_LIMIT_MB")
        await self._forget()

    async def _forget(self) -> None:
        listed = self._settings.models.by_id
        for model_id, model in list(self._models.items()):
            if model_id in listed or model.process.is_loaded or model.unused_s <= _FORGET_S:
                continue
            if model.process.is_dormant:
                del self._models[model_id]
            else:  # it failed and is retried regularly
                await model.unload(drain_s=0)

    def _used_bytes(self) -> int:
        return sum(model.process.memory_bytes for model in self._models.values())

    def _candidates(self, but: ServedModel) -> list[ServedModel]:
        """Models that may be unloaded, best first: idle ones before busy ones, then the least recently used."""
        loaded = (m for m in self._evictable() if m is not but)
        return sorted(loaded, key=lambda m: (m.is_busy, -m.unused_s))

    def _idle(self) -> list[ServedModel]:
        return sorted((m for m in self._evictable() if not m.is_busy), key=lambda m: -m.unused_s)

    def _evictable(self) -> Collection[ServedModel]:
        """Loaded models, except those in RAPL_MLX_PRELOAD, which are never unloaded here."""
        preloaded = self._settings.preload_ids
        return [m for m in self._models.values() if m.process.is_loaded and m.info.id not in preloaded]

    async def _unload(self, model: ServedModel, why: str) -> None:
        log.info("model=%s unloading: %s", model.info.id, why)
        await model.unload(_DRAIN_S, f"it was unloaded because {why}; the next request loads it again")


def _too_large(needed: int, limit: int) -> Failure:
    return Failure(
        reason=f"it needs about {needed >> 20} MiB; the limit for all models together is {limit >> 20} MiB",
        remedy="Choose a smaller model, or raise RAPL_MLX_MEMORY_LIMIT_MB.",
        retry_after_s=None,
    )


def _no_room(needed: int, left: int) -> Failure:
    return Failure(
        reason=f"it needs about {needed >> 20} MiB; the preloaded models leave {max(0, left) >> 20} MiB",
        remedy="Raise RAPL_MLX_MEMORY_LIMIT_MB, or remove models from RAPL_MLX_PRELOAD.",
        retry_after_s=_TRY_AGAIN_S,
    )
