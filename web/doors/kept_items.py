"""The newest items of answers, for clients that refer to them by their ids.

The AI SDK does so unless it is asked not to, since OpenAI keeps all items.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

_ENTRY_BYTES = 300  # of an entry, beside its item


class KeptItems:
    """Keeps items in the memory of this process, and drops the oldest at the limit.

    Large bodies are read in a thread, so the items have a lock.
    """

    def __init__(self) -> None:
        self._items: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def put(self, items: Mapping[str, bytes], max_bytes: int) -> None:
        """Keep items, of which all together have at most `max_bytes`."""
        with self._lock:
            for item_id, item in items.items():
                self._items[item_id] = item
                self._bytes += _ENTRY_BYTES + len(item)
            while self._bytes > max_bytes:
                _, item = self._items.popitem(last=False)
                self._bytes -= _ENTRY_BYTES + len(item)

    def get(self, item_id: str) -> bytes | None:
        """The item with this id, if it is still kept."""
        with self._lock:
            return self._items.get(item_id)
