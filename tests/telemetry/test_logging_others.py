"""The logging of the program around the gateway, and of other libraries: it is left as it was."""

from __future__ import annotations

import gc
import io
import logging
import logging.config
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from logging_config import logger
from main import create_app
from tests.gateways.log_files import logs_in, messages, read_log
from tests.gateways.loopback import make_settings
from tests.gateways.scripted import ScriptedFactory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STREAM = io.StringIO()
GUNICORN_LIKE = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "generic": {"format": "[%(process)d] %(threadName)s %(filename)s %(name)s %(message)s"}
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": STREAM}
    },
    "root": {"level": "ERROR", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["console"], "propagate": False},
        "uvicorn": {"level": "ERROR", "handlers": ["console"], "propagate": False},
        "httpx": {"level": "DEBUG"},
    },
}


@contextmanager
def configured_by_others() -> Iterator[io.StringIO]:
    """What a server that loads the gateway has configured; gives its output. Afterwards all is as it was."""
    names = ("", *GUNICORN_LIKE["loggers"])  # type: ignore[misc]
    loggers = [logging.getLogger(name) for name in names]
    before = [(other.level, other.handlers[:], other.propagate) for other in loggers]
    STREAM.truncate(0)
    STREAM.seek(0)
    logging.config.dictConfig(GUNICORN_LIKE)
    try:
        yield STREAM
    finally:
        for other, (level, handlers, propagate) in zip(loggers, before, strict=True):
            other.setLevel(level)
            other.handlers[:] = handlers
            other.propagate = propagate


def look() -> dict[str, tuple[Any, ...]]:
    """How every logger is set, and what a record has."""
    known = {
        name: other
        for name, other in logging.root.manager.loggerDict.items()
        if isinstance(other, logging.Logger)
    }
    found: dict[str, tuple[Any, ...]] = {
        name: (other.level, tuple(other.handlers), other.propagate, other.disabled)
        for name, other in {**known, "root": logging.root}.items()
    }
    found["records"] = (
        logging.logThreads,
        logging.logProcesses,
        logging.logMultiprocessing,
        logging.raiseExceptions,
    )
    found["source"] = (
        logging.getLogRecordFactory(),
        logging.getLoggerClass(),
        logging.root.manager.disable,
    )
    return found


async def test_logging_of_the_program_around_the_gateway_is_left_as_it_was(tmp_path: Path) -> None:
    """While the app runs only the root has handlers more; no level, format or propagation is another. Then nothing."""
    with configured_by_others() as output:
        settings = make_settings(tmp_path)
        app = create_app(settings, ScriptedFactory(settings.providers))
        before = look()
        async with app.router.lifespan_context(app):
            within = look()
            logging.getLogger("gunicorn.error").info("Booting worker")
            logging.getLogger("httpx").error("went wrong")
        gc.unfreeze()  # the app freezes what it has loaded
        assert look() == before
    own = {name for name in within if name.partition(".")[0] == "gateway"}
    changed = {name for name in before if within[name] != before[name]} - own
    assert changed == {"root"}
    level, handlers, *rest = before["root"]
    assert (within["root"][0], within["root"][1][: len(handlers)], list(within["root"][2:])) == (
        level,
        handlers,
        rest,
    )
    start = f"[{os.getpid()}] MainThread test_logging_others.py"
    assert f"{start} gunicorn.error Booting worker\n{start} httpx went wrong\n" in output.getvalue()
    assert messages(read_log(tmp_path))[-1] == "went wrong"


def test_records_of_the_gateway_fit_the_handlers_of_others(tmp_path: Path) -> None:
    """A handler on the root that prints a record's process, thread and file can print ours."""
    with configured_by_others() as output, logs_in(tmp_path):
        logger.error("ours")
    assert output.getvalue() == f"[{os.getpid()}] MainThread test_logging_others.py gateway ours\n"
