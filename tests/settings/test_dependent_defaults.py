"""The defaults of variables that depend on other variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configuration import load_settings


@pytest.mark.parametrize(
    ("written", "conversation_log"),
    [
        ({}, "full"),
        ({"log_dir": "-"}, "metadata"),
        ({"log_dir": Path("-"), "log_format": "json"}, "metadata"),
        ({"log_dir": "-", "conversation_log": "full"}, "full"),
        ({"log_dir": "logs", "conversation_log": "off"}, "off"),
    ],
)
def test_standard_output_has_no_words_of_a_chat_unless_asked_for(
    written: dict[str, Any], conversation_log: str
) -> None:
    assert load_settings(None, **written).conversation_log == conversation_log


@pytest.mark.parametrize(
    ("environment", "written", "is_on"),
    [("development", "", True), ("production", "", False), ("Production", "", False), ("production", "true", True),
     ("staging", "false", False)],
)  # fmt: skip
def test_sentry_debug_route_is_off_in_production_unless_asked_for(
    environment: str, written: str, is_on: bool
) -> None:
    assert (
        load_settings(
            None, sentry_environment=environment, sentry_debug_route=written
        ).sentry_debug_route
        is is_on
    )
