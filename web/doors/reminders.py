"""System messages among the others, as agents send them."""

from __future__ import annotations

from models import REMINDER, Text

# Agents mark theirs like this in users' messages, too. As a part of the system prompt it would
# change what comes before the whole conversation: vendors would find nothing of it in their caches,
# and could not read their own thinking.
_TEMPLATE = f"{REMINDER}\n%s\n</system-reminder>"


def remind(text: str) -> Text:
    """The text of a system message that is not before all others, for the user's turn there."""
    return Text(_TEMPLATE % text)
