"""The keywords of `rapl.toml`: those of every request, and those of single API keys.

A changed file takes effect without a restart. The rest of the file is read at the start only.
"""

import asyncio
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from rapl_protocol.transcript import TranscribeOptions
from rapl_service.http.tokens import BearerTokens

from rapl_gateway.backends.catalog_file import CatalogContent, CatalogFile

LOOK_EVERY_S = 1.0
MAX_KEYWORDS = 1_000
"""Most keywords of a request, together with those of the file."""

log = logging.getLogger("rapl")


class KeywordLists:
    """Args: `path` is the catalog file, or None."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: int | None = None
        self._of_all: tuple[str, ...] = ()
        self._of_clients: Mapping[str, tuple[str, ...]] = {}
        self.reload_if_changed()

    def added_to(self, options: TranscribeOptions, client_id: str) -> TranscribeOptions:
        """Returns the options with the keywords of the file after those of the request.

        Args:
            client_id: as in `api_keys.client_id_of`.
        """
        listed = (*self._of_clients.get(client_id, ()), *self._of_all)
        if not listed:
            return options
        return options.model_copy(
            update={"keywords": tuple(dict.fromkeys((*options.keywords, *listed)))[:MAX_KEYWORDS]}
        )

    async def watch(self) -> None:
        """Reads the file again whenever it has changed, as long as the gateway runs."""
        while self._path:
            await asyncio.sleep(LOOK_EVERY_S)
            await asyncio.to_thread(self.reload_if_changed)

    def reload_if_changed(self) -> None:
        """Uses the changed file. If it has a mistake or is away, the lists of before stay in use."""
        try:
            stamp = self._path.stat().st_mtime_ns if self._path else None
        except OSError:
            return
        if stamp == self._stamp:
            return
        is_first, self._stamp = self._stamp is None, stamp
        try:
            content = CatalogFile.read(self._path).content
        except ValueError as error:
            log.warning("the changed keywords are not used reason=%s", error)
            return
        self._of_all, self._of_clients = tuple(content.keywords), _of_clients(content)
        if not is_first:
            log.info("the changed keywords are used from now on")


def _of_clients(content: CatalogContent) -> dict[str, tuple[str, ...]]:
    """Returns the keywords by client id. A team whose key is not set has none."""
    found: dict[str, tuple[str, ...]] = {}
    for team in content.teams.values():
        key = os.environ.get(team.key_env, "")
        if key and (digest := BearerTokens([key]).known_digest(f"Bearer {key}")):
            found[digest.hex()] = (*found.get(digest.hex(), ()), *team.keywords)
    return found
