"""The sinks: what each chat is reported to. A further one is a file here and a line in the list."""

from __future__ import annotations

from configuration import Settings
from telemetry.chat_record import ChatSink
from telemetry.sinks.conversation_log import ConversationLog
from telemetry.sinks.gateway_log import GatewayLog
from telemetry.sinks.sentry_reports import SentryReports


def chat_sinks(settings: Settings) -> tuple[ChatSink, ...]:
    """The sinks of all chats, in the order in which they are called."""
    return (
        GatewayLog(),
        ConversationLog(settings.conversation_log),
        SentryReports(),
    )
