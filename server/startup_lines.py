"""What a process logs before it serves."""

from __future__ import annotations

import os

from aiproviders import Gateway
from configuration import VERSION, Settings, startup_warnings
from logging_config import audit, logger


def log_startup(settings: Settings, gateway: Gateway) -> None:
    """Log probable mistakes, models that end, demo mode, and what is served."""
    for warning in startup_warnings(settings):
        logger.warning(warning)
    for provider in gateway.factory.built.values():
        ending = provider.deprecated_models()
        for model in provider.settings.chain:
            if model in ending:
                logger.warning("%s: the model %s ends on %s", provider.name, model, ending[model])
    if settings.demo_mode:
        logger.warning(
            "DEMO MODE: no vendor is asked; a simulator answers. "
            "Set a vendor's key in .env to change that."
        )
    logger.info("gateway %s serves %s", VERSION, ", ".join(gateway.factory.built) or "no provider")
    audit("gateway started", process=os.getpid(), version=VERSION)
