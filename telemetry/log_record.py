"""A log record of the gateway itself: a message and its context, without the place in the code."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import time
from typing import Any

# What `logging` would look up for each record, and no line has: a quarter of a line's time.
_NOT_LOOKED_UP: dict[str, Any] = dict.fromkeys(
    ("exc_text", "stack_info", "taskName", "thread", "threadName", "processName", "process")
)
_NOT_LOOKED_UP |= dict.fromkeys(("pathname", "filename", "module", "funcName"), "")
_NOT_LOOKED_UP |= {"args": (), "lineno": 0, "relativeCreated": 0.0}


class ContextRecord(logging.LogRecord):
    """A record with a `context`. `attributes` are further ones that the handlers know."""

    def __init__(
        self, name: str, level: int, message: str, context: Mapping[str, Any], **attributes: Any
    ) -> None:
        created = time()
        self.__dict__ = {
            **_NOT_LOOKED_UP,
            "name": name,
            "msg": message,
            "levelname": logging.getLevelName(level),
            "levelno": level,
            "exc_info": None,
            "created": created,
            "msecs": int((created - int(created)) * 1000) + 0.0,
            "context": context,
            **attributes,
        }


def log_with_context(
    logger: logging.Logger, level: int, message: str, context: Mapping[str, Any], **attributes: Any
) -> None:
    """Log a message with a context, and further attributes of the record that the handlers know."""
    if logger.isEnabledFor(level):
        logger.handle(ContextRecord(logger.name, level, message, context, **attributes))
