"""The keywords and the replacements of `rapl.toml`: those of every request, and those of single API keys.

A changed file takes effect without a restart. The rest of the file is read at the start only.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rapl_protocol.transcript import TranscribeOptions

from rapl_gateway.backends.catalog_file import CatalogContent, CatalogFile
from rapl_gateway.transcription.replacements import NO_REPLACEMENTS, Replacements

LOOK_EVERY_S = 1.0
MAX_KEYWORDS = 1_000
"""Most keywords of a request, together with those of the file."""

log = logging.getLogger("rapl")


@dataclass(frozen=True, slots=True)
class _Lists:
    keywords: tuple[str, ...] = ()
    replacements: Replacements = NO_REPLACEMENTS


@dataclass(frozen=True, slots=True)
class _FileLists:
    of_all: _Lists = field(default_factory=_Lists)
    of_clients: Mapping[str, _Lists] = field(default_factory=dict[str, _Lists])
    """By client id; together with those of all."""

    @classmethod
    def of(cls, content: CatalogContent) -> "_FileLists":
        of_all = _Lists(tuple(content.keywords), Replacements(content.replacements))
        found: dict[str, _Lists] = {}
        for entry in content.clients.values():
            so_far = found.get(entry.key_sha256, of_all)
            found[entry.key_sha256] = _Lists(
                (*entry.keywords, *so_far.keywords), so_far.replacements.merged(entry.replacements)
            )
        return cls(of_all, found)

    def of_client(self, client_id: str) -> _Lists:
        return self.of_clients.get(client_id, self.of_all)


class WordLists:
    """The lists that are in use.

    Args:
        path: the catalog file, or None.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: int | None = None
        self._lists = _FileLists()
        self.reload_if_changed()

    def with_keywords(self, options: TranscribeOptions, client_id: str) -> TranscribeOptions:
        """Returns the options with the keywords of the file after those of the request.

        Args:
            client_id: as in `api_keys.client_id_of`.
        """
        listed = self._lists.of_client(client_id).keywords
        if not listed:
            return options
        keywords = tuple(dict.fromkeys((*options.keywords, *listed)))[:MAX_KEYWORDS]
        return options.model_copy(update={"keywords": keywords})

    def replacements_of(self, client_id: str) -> Replacements:
        """Returns the replacements of the server with those of a client's key."""
        return self._lists.of_client(client_id).replacements

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
            self._lists = _FileLists.of(CatalogFile.read(self._path).content)
        except ValueError as error:
            log.warning("the changed keywords and replacements are not used reason=%s", error)
            return
        if not is_first:
            log.info("the changed keywords and replacements are used from now on")
