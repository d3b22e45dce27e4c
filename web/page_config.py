"""What the chat page needs to know of its gateway: the limits of a request, and its providers."""

from __future__ import annotations

from typing import Any

from configuration import VERSION
from web.doors.media import MEDIA_TYPES
from web.services import Services


def page_config(services: Services) -> dict[str, Any]:
    """The answer to `GET /ui/config`. No vendor is called."""
    settings, gateway = services.settings, services.gateway
    providers = {name: gateway.factory.settings(name) for name in gateway.factory.names}
    states = gateway.states()
    built = gateway.factory.built
    return {
        "version": VERSION,
        "demo": settings.demo_mode,
        "key_needed": services.keys.is_needed,
        "limits": {
            "max_body_bytes": settings.max_body_bytes,
            "max_messages": settings.max_messages,
            "max_message_chars": settings.max_message_chars,
            "max_image_bytes": settings.max_image_bytes,
            "image_types": sorted(set(MEDIA_TYPES.values())),
            "max_file_bytes": settings.max_file_bytes,
        },
        "providers": [
            {
                "name": name,
                "state": states[name],
                "seconds": built[name].health.mean_seconds if name in built else None,
                "model": {"default": provider.model_default, "fallback": provider.model_fallback},
                "files": gateway.factory.takes_files(name),
            }
            for name, provider in providers.items()
            if provider.configured
        ],
    }
