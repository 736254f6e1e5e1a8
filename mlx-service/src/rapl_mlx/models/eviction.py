"""Which models may stay in memory: within a budget, the least recently used goes first, and so does what is idle."""

import asyncio
import logging
from collections.abc import Collection

from rapl_mlx.child.contract import Failure
from rapl_mlx.models.served_model import ServedModel
from rapl_mlx.settings import Settings

_OVERHEAD_BYTES = 300 << 20
"""Of a process besides its weights: the interpreter, its libraries, and what one request computes."""
_SWEEP_S = 1.0
_DRAIN_S = 30.0
_TRY_AGAIN_S = 60.0
_FORGET_S = 600.0
"""A model that only a pattern allows, and that is not loaded, is listed so long after it was asked for."""

log = logging.getLogger("rapl.mlx")


class ModelEviction:
    """To be used in one event loop.

    Args:
        models: every model, by id; those that only a pattern allows leave it when nobody asks for them.
    """

    def __init__(self, models: dict[str, ServedModel], settings: Settings) -> None:
        self._models = models
        self._settings = settings
        self._room_lock = asyncio.Lock()

    async def make_room(self, model: ServedModel, weights_bytes: int) -> Failure | None:
        """Unloads others until there is memory for the model. Returns why there is none, if so."""
        async with self._room_lock:
            model.reserved_bytes = needed = weights_bytes + _OVERHEAD_BYTES
            limit = self._settings.memory_limit_bytes
            if needed > limit:
                return _too_large(needed, limit)
            while (excess := self._used_bytes() - limit) > 0:
                candidates = self._candidates(model)
                if not candidates:
                    model.reserved_bytes = 0
                    return _no_room(needed, limit - (excess + limit - needed))
                await self._unload(candidates[0], f"model {model.info.id!r} needs its memory")
            return None

    async def run(self) -> None:
        """Looks at every model, again and again."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                await self._sweep()
            except Exception:
                log.exception("the memory of models could not be looked after")

    async def _sweep(self) -> None:
        for model in list(self._models.values()):
            model.end_if_larger_than(self._settings.model_memory_limit_bytes)
            ttl_s = self._settings.model_ttl_s
            if ttl_s and model in self._idle() and model.unused_s > ttl_s:
                await self._unload(model, f"it was not used for {ttl_s:g} s")
        while self._used_bytes() > self._settings.memory_limit_bytes and (idle := self._idle()):
            await self._unload(idle[0], "all models together grew past RAPL_MLX_MEMORY_LIMIT_MB")
        await self._forget()

    async def _forget(self) -> None:
        listed = self._settings.models.by_id
        for model_id, model in list(self._models.items()):
            if model_id in listed or model.is_loaded or model.unused_s <= _FORGET_S:
                continue
            if model.is_dormant:
                del self._models[model_id]
            else:  # it failed, and tries again every now and then
                await model.unload(drain_s=0)

    def _used_bytes(self) -> int:
        return sum(model.memory_bytes for model in self._models.values())

    def _candidates(self, but: ServedModel) -> list[ServedModel]:
        """What may go, the best first: what is idle before what works, and then what was used longest ago."""
        loaded = (m for m in self._evictable() if m is not but)
        return sorted(loaded, key=lambda m: (m.is_busy, -m.unused_s))

    def _idle(self) -> list[ServedModel]:
        return sorted((m for m in self._evictable() if not m.is_busy), key=lambda m: -m.unused_s)

    def _evictable(self) -> Collection[ServedModel]:
        """Loaded models, but for those that are made ready at start: they stay."""
        stay = self._settings.preload_ids
        return [m for m in self._models.values() if m.is_loaded and m.info.id not in stay]

    async def _unload(self, model: ServedModel, why: str) -> None:
        log.info("model=%s goes: %s", model.info.id, why)
        await model.unload(_DRAIN_S, f"it was unloaded, for {why}; the next request loads it again")


def _too_large(needed: int, limit: int) -> Failure:
    return Failure(
        reason=f"it needs about {needed >> 20} MiB, and all models together may have {limit >> 20}",
        remedy="Choose a smaller model, or raise RAPL_MLX_MEMORY_LIMIT_MB.",
        retry_after_s=None,
    )


def _no_room(needed: int, left: int) -> Failure:
    return Failure(
        reason=f"it needs about {needed >> 20} MiB, and models that stay leave {max(0, left) >> 20}",
        remedy="Raise RAPL_MLX_MEMORY_LIMIT_MB, or take models out of RAPL_MLX_PRELOAD.",
        retry_after_s=_TRY_AGAIN_S,
    )
