"""`KeyRing`: the gateway keys that are valid now."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

from settings.gateway_keys import GatewayKey


class KeyRing:
    """Finds the key that a client sends. All its keys are replaced at once.

    `is_needed` says whether clients need a key: that does not change.
    """

    __slots__ = ("_by_hash", "_secret", "_uses", "has_admin", "is_needed", "keys")

    def __init__(self, keys: Iterable[GatewayKey], *, is_needed: bool | None = None) -> None:
        self._secret = secrets.token_bytes(32)
        self._uses: dict[str, float] = {}
        self.replace(keys)
        self.is_needed = bool(self.keys) if is_needed is None else is_needed

    def replace(self, keys: Iterable[GatewayKey]) -> None:
        """Replace all keys."""
        self.keys = tuple(keys)
        self.has_admin = any(key.admin for key in self.keys)
        self._by_hash = {self._blind(key.sha256): key for key in self.keys}

    def find(self, sent: str) -> GatewayKey | None:
        """The key with this text, expired or not.

        How long that takes says nothing of any key: the place in the table depends on a secret of
        this process, and the hashes are compared in constant time.
        """
        if not sent:
            return None
        sha256 = hashlib.sha256(sent.encode("utf-8", "surrogateescape")).hexdigest()
        key = self._by_hash.get(self._blind(sha256))
        return key if key and hmac.compare_digest(key.sha256, sha256) else None

    def note_use(self, key: GatewayKey) -> None:
        """Note when a key was used, if there is an admin page that shows it."""
        if self.has_admin:
            self._uses[key.name] = datetime.now(UTC).timestamp()

    def take_uses(self) -> dict[str, float]:
        """The names of the keys used since the last call, and the times of day."""
        uses, self._uses = self._uses, {}
        return uses

    def valid_hashes(self) -> frozenset[str]:
        """The hashes of the keys that have not expired."""
        now = datetime.now(UTC)
        return frozenset(key.sha256 for key in self.keys if not key.expires or now < key.expires)

    def _blind(self, sha256: str) -> bytes:
        return hashlib.blake2s(sha256.encode(), key=self._secret).digest()
