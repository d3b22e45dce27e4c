"""Records of the gateway's own lines, for its handlers and for those of other libraries."""

from __future__ import annotations

import logging

import pytest

from telemetry.log_record import ContextRecord, log_with_context


def test_record_has_every_attribute_that_a_handler_may_format() -> None:
    """A handler that the operator adds can format the gateway's records as any other."""
    record = ContextRecord("gateway.chat", 20, "chat started", {"id": "1"}, is_awaited=True)
    usual = logging.LogRecord("gateway.chat", 20, "", 0, "chat started", (), None)
    assert vars(usual).keys() <= vars(record).keys()
    same = ("name", "msg", "args", "levelname", "levelno", "exc_info", "stack_info")
    assert {name: vars(usual)[name] for name in same} == {name: vars(record)[name] for name in same}
    assert usual.created - record.created < 60
    assert 0 <= record.msecs < 1000
    styles = "%(asctime)s %(process)s %(threadName)s %(module)s:%(lineno)d %(message)s"
    assert logging.Formatter(styles).format(record).endswith(":0 chat started")


def test_level_of_the_logger_decides(caplog: pytest.LogCaptureFixture) -> None:
    """Lines below the logger's level are not made."""
    logger = logging.getLogger("gateway.test_log_record")
    with caplog.at_level(logging.INFO, logger.name):
        log_with_context(logger, logging.DEBUG, "left out", {})
        log_with_context(logger, logging.INFO, "written", {"number": 1})
    assert [(record.getMessage(), record.__dict__["context"]) for record in caplog.records] == [
        ("written", {"number": 1})
    ]
