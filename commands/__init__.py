"""The command line's commands."""

from __future__ import annotations

from typing import Any

from commands.check import add_check_command
from commands.keys import add_keys_command
from commands.model import add_model_command
from commands.top import add_top_command
from commands.trace import add_trace_command


def add_commands(commands: Any) -> None:
    """Add every command to a parser's commands."""
    add_keys_command(commands)
    add_model_command(commands)
    add_check_command(commands)
    add_trace_command(commands)
    add_top_command(commands)
