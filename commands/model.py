"""`python main.py model NAME`: prints what the gateway knows of a model."""

from __future__ import annotations

import argparse
from typing import Any

from configuration import load_settings
from providers.capabilities import check_capabilities
from providers.model_row import describe_model


def add_model_command(commands: Any) -> None:
    """Add the command to a parser's commands."""
    parser = commands.add_parser("model", help="print what the gateway knows of a model")
    parser.add_argument("name", help="its name, or PROVIDER/NAME")
    parser.set_defaults(run=run_model)


def run_model(chosen: argparse.Namespace) -> int:
    """Run the command. Raises ConfigurationError."""
    settings = load_settings()
    check_capabilities(settings.capabilities_file)
    print(describe_model(settings, chosen.name))
    return 0
