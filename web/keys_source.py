"""`KeysSource`: the gateway keys of the configuration and of KEYS_FILE, which is read again.

The file is looked at in a thread, off the path of any chat. A change counts once the file has
stayed the same between two looks, so that a file that is being written is not read half.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from configuration import VALID_PROVIDERS, ConfigurationError, Settings
from logging_config import audit
from providers.running_chats import RunningChats
from settings.file_access import access_warnings
from settings.gateway_keys import GatewayKey
from settings.keys_file import (
    KeysFileError,
    Stamp,
    read_keys_file,
    stamp_of,
)
from web.key_ring import KeyRing

_LOOK_SECONDS = 0.3  # two looks and the reading take less than a second

_logger = logging.getLogger("gateway.web")


def load_keys(settings: Settings) -> tuple[GatewayKey, ...]:
    """All gateway keys. Raises ConfigurationError if KEYS_FILE is wrong."""
    path = settings.keys_file
    if path is None:
        return settings.gateway_api_keys
    try:
        found = read_keys_file(path, VALID_PROVIDERS, settings.gateway_api_keys)
    except KeysFileError as error:
        raise ConfigurationError(
            f"KEYS_FILE: {path}: {finding}" for finding in error.findings
        ) from None
    return (*settings.gateway_api_keys, *found)


class KeysSource:
    """Keeps the ring of keys up to date. `ring` is empty until the source is opened."""

    def __init__(self, settings: Settings) -> None:
        self.ring = KeyRing((), is_needed=settings.has_keys)
        self._settings = settings
        self._path = settings.keys_file
        self._asked = asyncio.Event()
        self._read: Stamp | None = None  # of the file as it was read last
        self._seen: Stamp | None = None  # at the last look

    @property
    def has_file(self) -> bool:
        """Whether there is a file to read again."""
        return self._path is not None

    def read_again(self) -> None:
        """Read the file at the next opportunity, even if its stamp is the same."""
        self._read = self._seen = None
        self._asked.set()

    @asynccontextmanager
    async def opened(self, chats: RunningChats) -> AsyncIterator[KeyRing]:
        """Read the keys, and watch their file. Raises ConfigurationError.

        With REVOKED_STREAMS=end, the chats whose key is valid no more are ended.
        """
        if self._path is None:
            self.ring.replace(self._settings.gateway_api_keys)
            yield self.ring
            return
        self._read = self._seen = stamp_of(self._path) if self._path.exists() else None
        self.ring.replace(load_keys(self._settings))
        for warning in access_warnings("KEYS_FILE", self._path, is_private=True):
            _logger.warning(warning)
        watching = asyncio.create_task(self._watch(chats))
        try:
            yield self.ring
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch(self, chats: RunningChats) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._asked.wait()
            self._asked.clear()
            try:
                keys = await asyncio.to_thread(self._look)
            except ConfigurationError as error:
                context = {"process": os.getpid(), "problem": str(error)}
                _logger.log(
                    logging.ERROR,
                    "KEYS_FILE is wrong: the old keys stay",
                    extra={"context": context},
                )
            else:
                if keys is not None:
                    self._replace(keys)
            if self._settings.revoked_streams == "end":
                chats.end_without(self.ring.valid_hashes())

    def _look(self) -> tuple[GatewayKey, ...] | None:
        """The keys if the file has changed, and is complete. Raises ConfigurationError."""
        try:
            found = stamp_of(self._path) if self._path else None
        except OSError:
            found = None
        before, self._seen = self._seen, found
        if found == self._read or found != before:
            return None
        self._read = found
        return load_keys(self._settings)

    def _replace(self, keys: tuple[GatewayKey, ...]) -> None:
        before = {key.name for key in self.ring.keys}
        self.ring.replace(keys)
        now = {key.name for key in keys}
        audit(
            "keys read",
            process=os.getpid(),
            keys=len(now),
            added=sorted(now - before),
            removed=sorted(before - now),
        )
