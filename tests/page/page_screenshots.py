"""`python -m tests.page.page_screenshots`: pictures of the running page for docs/, each of a state worth seeing."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from simulator import Error, Scripted, Thought
from tests.clients.page_browser import ChatPage, open_browser, simulated_page

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1200, "height": 780}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 780},
    "has_touch": True,
    "is_mobile": True,
}
PACE = 0.01
SORTS = """Python sorts with **Timsort**: it looks for runs that are already in order, and merges them.

| | Bubble sort | `list.sort()` |
|---|---|---|
| Worst case | O(n²) | O(n log n) |
| Sorted already | O(n) | O(n) |

```python
def bubble_sort(items: list[int]) -> list[int]:
    \"\"\"Sort a copy, slowly.\"\"\"
    result = list(items)
    for end in range(len(result) - 1, 0, -1):
        for place in range(end):  # the largest rises
            if result[place] > result[place + 1]:
                result[place], result[place + 1] = result[place + 1], result[place]
    return result
```

Both are *stable*: equal items keep their order."""


def say(text: str, *thoughts: str) -> Scripted:
    """An answer in small pieces."""
    pieces = [text[start : start + 12] for start in range(0, len(text), 12)]
    return Scripted((*map(Thought, thoughts), *pieces), PACE, first=0.2)


async def ask_about_sorts(chat: ChatPage) -> None:
    """A few conversations in the list, and an answer with all that Markdown has."""
    for question in (
        "A name for a grey cat",
        "Tides, explained to a child",
        "Dinner from rice and leeks",
    ):
        await chat.ask_and_wait(question, "claude")
        await chat.page.locator("#new-chat").evaluate("(button) => button.click()")
    await chat.ask_and_wait("Compare bubble sort with Python's sort.", "claude")


async def ask_for_the_fallback(chat: ChatPage) -> None:
    """One question that the fallback model answered, and one whose answer broke."""
    await chat.ask_and_wait("How far is the moon?", "claude")
    await chat.ask_and_wait("And how long does light take?")


async def ask_for_an_error(chat: ChatPage) -> None:
    """An answer that broke off, and no model was left."""
    await chat.ask_and_wait("How far is the moon?", "claude")


BUSY, BROKEN = Error(529), Scripted(("The moon is on average 384,4",), then="close")
MOON = say(
    "The moon is on average **384,400 km** away, about thirty times the earth's diameter.",
    "An average will do.",
)
LIGHT = say("About **1.3 seconds**.")
PICTURES: dict[
    str, tuple[Callable[[ChatPage], Awaitable[None]], dict[str, Any], dict[str, Any]]
] = {
    "light": (
        ask_about_sorts,
        {"luna": [say("Smoke"), say("The moon pulls"), say("Risotto"), say(SORTS)]},
        DESKTOP,
    ),
    "dark": (
        ask_about_sorts,
        {"luna": [say("Smoke"), say("The moon pulls"), say("Risotto"), say(SORTS)]},
        DESKTOP | {"color_scheme": "dark"},
    ),
    "phone": (ask_for_the_fallback, {"luna": [BUSY, BUSY, LIGHT], "nova": MOON}, PHONE),
    "fallback": (
        ask_for_the_fallback,
        {"luna": [BUSY, BUSY, BROKEN], "nova": [MOON, LIGHT]},
        DESKTOP,
    ),
    "error": (ask_for_an_error, {"luna": BUSY, "nova": BROKEN}, DESKTOP),
}


async def take(browser: Browser, name: str) -> None:
    """One picture."""
    act, behaviours, window = PICTURES[name]
    with tempfile.TemporaryDirectory() as logs:
        async with simulated_page(browser, Path(logs), behaviours, **window) as (chat, _):
            await act(chat)
            await chat.page.mouse.move(0, 0)
            await chat.page.evaluate("document.fonts.ready")
            await chat.page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")


async def take_all() -> None:
    """All of them."""
    FOLDER.mkdir(exist_ok=True)
    async with open_browser() as browser:
        for name in PICTURES:
            await take(browser, name)
            print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        asyncio.run(take_all())
    sys.exit(0)
