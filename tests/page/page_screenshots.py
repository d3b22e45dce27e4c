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
from tests.clients.admin_page import ADMIN, ADMIN_SHA, CHATS_SHA, admin_page, enter_key
from tests.clients.page_browser import ChatPage, open_browser, simulated_page

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1200, "height": 780}}
TALL: dict[str, Any] = {"viewport": {"width": 1200, "height": 920}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 780},
    "has_touch": True,
    "is_mobile": True,
}
PACE = 0.01
SORTS = """Python sorts with **Timsort**: it looks for runs that are in order already, and merges them, in at most
$n \\lceil \\log_2 n \\rceil$ comparisons.

| | Bubble sort | `list.sort()` |
|:---|---:|---:|
| Worst case | $O(n^2)$ | $O(n \\log n)$ |
| Sorted already | $O(n)$ | $O(n)$ |

1. The slow one looks at each pair of neighbours:

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

2. Both are *stable*: equal items keep their order."""
THOUGHTS = ("Neighbours attract each other most. ", "So the gap must take up what the heat adds. ")


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
    shown = await chat.ask_and_wait("Compare bubble sort with Python's sort.", "claude")
    await shown.locator("math").last.wait_for()
    await shown.locator(".hljs-keyword").first.wait_for()
    await chat.page.locator("#thread").evaluate("(thread) => { thread.scrollTop = 0; }")


async def ask_for_the_fallback(chat: ChatPage) -> None:
    """One question that the fallback model answered, and one whose answer broke."""
    await chat.ask_and_wait("How far is the moon?", "claude")
    await chat.last_answer.get_by_label("About this answer").click()
    await chat.ask_and_wait("And how long does light take?")


async def ask_for_an_error(chat: ChatPage) -> None:
    """An answer that broke off, and no model was left."""
    await chat.ask_and_wait("How far is the moon?", "claude")
    await chat.last_answer.locator(".problem summary").click()


async def ask_what_takes_thought(chat: ChatPage) -> None:
    """A model that thinks."""
    await chat.ask("Why does a bridge need a gap?", "claude")
    await chat.last_answer.locator(".thinking.now summary").click()
    await chat.last_answer.get_by_text("2 seconds").wait_for()


async def ask_again(chat: ChatPage) -> None:
    """Two versions of an answer."""
    await chat.ask_and_wait("A name for a grey cat?", "claude")
    await chat.last_answer.get_by_label("Ask again", exact=True).click()
    await chat.last_answer.get_by_text("2/2").wait_for()
    await chat.last_answer.locator("footer.facts").wait_for()


async def compare(chat: ChatPage) -> None:
    """Two providers' answers to one question, side by side."""
    await chat.ask_and_wait("Why is the sky blue? In two sentences.", "claude")
    await chat.last_answer.get_by_role("button", name="Ask another provider").click()
    await chat.page.get_by_role("button", name="Gemini", exact=True).click()
    await chat.last_answer.get_by_text("2/2").wait_for()
    await chat.last_answer.locator("footer.facts").wait_for()
    await chat.last_answer.get_by_role("button", name="Compare").click()
    await chat.page.locator(".comparison .compared").last.wait_for()


async def edit(chat: ChatPage) -> None:
    """A question that is put another way, in the middle of a conversation."""
    await chat.ask_and_wait("How far is the moon?", "claude")
    await chat.ask_and_wait("And how long does light take?")
    question = chat.page.locator("article.question").first
    await question.hover()
    await question.get_by_label("Edit question").click()
    await chat.page.keyboard.press("End")
    await chat.page.keyboard.type(" Give me kilometres and miles.")
    await chat.page.locator("#thread").evaluate("(thread) => { thread.scrollTop = 0; }")


async def instruct(chat: ChatPage) -> None:
    """What the model gets before a conversation, and what is kept for others."""
    await chat.page.click("#instructions")
    dialog = chat.page.get_by_role("dialog")
    for name, words in INSTRUCTIONS.items():
        await dialog.get_by_label("Instructions").fill(words)
        await dialog.get_by_label("Name to keep them by").fill(name)
        await dialog.get_by_role("button", name="Keep for other chats").click()
        await dialog.get_by_role("button", name=name, exact=True).wait_for()


async def delete_all(chat: ChatPage) -> None:
    """All conversations are deleted, and can be restored for a while."""
    for question in ("A name for a grey cat", "Tides, explained to a child"):
        await chat.ask_and_wait(question, "claude")
        await chat.page.click("#new-chat")
    await chat.page.click("#show-settings")
    await chat.page.click("#delete-all")
    await chat.page.get_by_role("dialog").get_by_role("button", name="Delete all").click()
    await chat.page.locator(".toast").wait_for()


async def start_anew(chat: ChatPage) -> None:
    """The empty page."""
    await chat.page.locator("#welcome").wait_for()


async def open_settings(chat: ChatPage) -> None:
    """What can be chosen."""
    await chat.page.click("#show-settings")
    await chat.page.locator("#settings[open]").wait_for()


async def go_offline(chat: ChatPage) -> None:
    """The gateway is away: what is kept can be read."""
    await chat.ask_and_wait("How far is the moon?", "claude")
    await chat.page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    await chat.page.context.set_offline(True)
    await chat.page.reload()
    await chat.page.locator("#offline").wait_for()
    await chat.last_answer.get_by_text("384,400").wait_for()
    chat.complaints.clear()


async def print_it(chat: ChatPage) -> None:
    """The conversation on paper."""
    await ask_about_sorts(chat)
    await chat.page.emulate_media(media="print")


BUSY, BROKEN = Error(529), Scripted(("The moon is on average 384,4",), then="close")
MOON = say(
    "The moon is on average **384,400 km** away, about thirty times the earth's diameter.",
    "An average will do.",
)
LIGHT = say("About **1.3 seconds**.")
SORT_ANSWERS = [say("Smoke"), say("The moon pulls"), say("Risotto"), say(SORTS)]
SKY = [
    say(
        "Sunlight is scattered by the molecules of the air, and **blue light far more than red**, since its waves are "
        "shorter. So blue reaches your eye from all over the sky."
    ),
    say(
        "Air scatters light in proportion to $1/\\lambda^4$ (*Rayleigh scattering*), which favours short waves. Violet "
        "is scattered even more, but the sun sends less of it and the eye sees it less well."
    ),
]
INSTRUCTIONS = {
    "Translator": "Translate whatever I write into French. Add nothing.",
    "Brief": "Answer in at most three sentences. If something is uncertain, say so.",
}
THINKING = Scripted(tuple(map(Thought, THOUGHTS)), 0.1, then="hang")
PICTURES: dict[
    str, tuple[Callable[[ChatPage], Awaitable[None]], dict[str, Any], dict[str, Any]]
] = {
    "light": (ask_about_sorts, {"luna": SORT_ANSWERS}, TALL),
    "dark": (ask_about_sorts, {"luna": SORT_ANSWERS}, TALL | {"color_scheme": "dark"}),
    "phone": (ask_for_the_fallback, {"luna": [BUSY, BUSY, LIGHT], "nova": MOON}, PHONE),
    "fallback": (
        ask_for_the_fallback,
        {"luna": [BUSY, BUSY, BROKEN], "nova": [MOON, LIGHT]},
        DESKTOP,
    ),
    "error": (ask_for_an_error, {"luna": BUSY, "nova": BROKEN}, DESKTOP),
    "thinking": (ask_what_takes_thought, {"luna": THINKING}, DESKTOP),
    "versions": (ask_again, {"luna": [say("**Smoke**"), say("**Ash**")]}, DESKTOP),
    "compared": (compare, {"luna": SKY}, DESKTOP),
    "editing": (edit, {"luna": [MOON, LIGHT]}, DESKTOP),
    "instructions": (instruct, {}, DESKTOP),
    "undo": (delete_all, {"luna": SORT_ANSWERS[:2]}, DESKTOP),
    "welcome": (start_anew, {}, DESKTOP),
    "german": (start_anew, {}, DESKTOP | {"locale": "de-DE"}),
    "settings": (open_settings, {}, DESKTOP),
    "offline": (go_offline, {"luna": MOON}, DESKTOP),
    "zoomed": (
        ask_for_the_fallback,
        {"luna": [BUSY, BUSY, LIGHT], "nova": MOON},
        {"viewport": {"width": 320, "height": 256}},
    ),
    "print": (print_it, {"luna": SORT_ANSWERS}, {"viewport": {"width": 800, "height": 1000}}),
}


ADMIN_KEYS = f"""
[keys.operator]
sha256 = "{ADMIN_SHA}"
admin = true
doors = []

[keys.phone]
sha256 = "{CHATS_SHA}"
expires = 2031-01-31
providers = ["gpt", "claude"]
requests_per_minute = 60
streams = 5
tokens_per_day = 200
usd_per_month = 50.0
tags = ["research"]

[keys.old-laptop]
sha256 = "{"0" * 64}"
expires = 2025-06-30
deep_health = true
"""


async def take(browser: Browser, name: str) -> None:
    """One picture."""
    act, behaviours, window = PICTURES[name]
    with tempfile.TemporaryDirectory() as logs:
        async with simulated_page(browser, Path(logs), behaviours, **window) as (chat, _):
            await act(chat)
            await chat.page.mouse.move(0, 0)
            await chat.page.evaluate("document.fonts.ready")
            await chat.page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")


async def take_admin(browser: Browser) -> None:
    """The admin page."""
    with tempfile.TemporaryDirectory() as logs:
        async with admin_page(browser, Path(logs), [], ADMIN_KEYS, **TALL) as (page, _):
            await enter_key(page, ADMIN)
            await page.locator("#shown").wait_for()
            await page.mouse.move(0, 0)
            await page.screenshot(path=FOLDER / "admin.png", full_page=True, animations="disabled")


async def take_all(names: list[str]) -> None:
    """These of them, or all."""
    FOLDER.mkdir(exist_ok=True)
    async with open_browser() as browser:
        for name in names or [*PICTURES, "admin"]:
            await (take_admin(browser) if name == "admin" else take(browser, name))
            print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        asyncio.run(take_all(sys.argv[1:]))
    sys.exit(0)
