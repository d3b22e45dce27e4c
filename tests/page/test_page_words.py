"""The page's words: one table a language, complete, used, and the only place that has any."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models import Text
from tests.clients.page_browser import chat_page
from tests.gateways.scripted import answer, scripted_gateway, silence
from web.page import choose_language, page_response
from web.page_files import read_files, read_words

if TYPE_CHECKING:
    from playwright.async_api import Browser

STATIC = Path(__file__).parents[2] / "static"
FILES = read_files()
WORDS = read_words(FILES)
ENGLISH = WORDS["en"]
OTHERS = sorted(WORDS.keys() - {"en"})
SCRIPTS = {
    name: content.decode()
    for name, content in FILES.items()
    if name.endswith(".js") and not name.startswith(("vendor/", "words/", "reference", "admin"))
}
SAID = re.compile(r"""["`](?P<key>[a-z][\w]*(?:\.[\w${}.]+)*)["`]""")


def forms(words: object) -> list[str]:
    """The texts of a key: one, or one for each form of a noun."""
    return list(words.values()) if isinstance(words, dict) else [str(words)]


def names_in(words: object) -> set[str]:
    """What stands in braces in all forms."""
    return {name for text in forms(words) for name in re.findall(r"\{(\w+)\}", text)}


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_every_word(language: str) -> None:
    """With the same values in it, and none is empty or left in English."""
    table = WORDS[language]
    assert list(table) == list(ENGLISH)
    for key, words in table.items():
        assert names_in(words) == names_in(ENGLISH[key]), key
        assert all(text.strip() for text in forms(words)), key
    same = [key for key in table if table[key] == ENGLISH[key]]
    assert len(same) < len(table) / 10, same


def test_every_word_is_used() -> None:
    """And no script or page uses one that is not there; a key may have a part that is known only when it is said."""
    used = set(re.findall(r"\{\{([\w.]+)\}\}", FILES["index.html"].decode()))
    patterns = []
    for text in SCRIPTS.values():
        for found in SAID.finditer(text):
            if "${" in found["key"]:
                parts = re.split(r"\$\{[^}]*\}", found["key"])
                patterns.append(r"\w+".join(map(re.escape, parts)))
            else:
                used.add(found["key"])
        for key in re.findall(r'\bsay\("([^"]+)"', text):
            assert key in ENGLISH, key
    used -= {"lang", "languages", "modules"}
    used |= {"language.own"}  # the server puts it into the switch of each language
    unused = [
        key
        for key in ENGLISH
        if key not in used and not any(re.fullmatch(pattern, key) for pattern in patterns)
    ]
    assert unused == []


class TextFinder(HTMLParser):
    """The texts that a page has itself, and those of its attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        read_out = {"aria-label", "title", "placeholder", "alt"}
        self.found += [str(value) for name, value in attrs if name in read_out]

    def handle_data(self, data: str) -> None:
        self.found += [data.strip()] if data.strip() else []


def test_page_has_no_words_of_its_own() -> None:
    """But the names of keys."""
    finder = TextFinder()
    finder.feed(FILES["index.html"].decode())
    words = [re.sub(r"\{\{[\w.]+\}\}", "", text).strip() for text in finder.found]
    assert {text for text in words if text} <= {"Enter", "Shift", "Esc", "Ctrl", "/", "?", "O", "S"}


def test_scripts_have_no_words_of_their_own() -> None:
    """No text with a space, in quotes, of more than one word and a capital: that would be for a person."""
    for name, text in SCRIPTS.items():
        if name.startswith(("view/", "page")):
            code = re.sub(r"^\s*(?://|/?\*).*$|//.*$", "", text, flags=re.MULTILINE)
            assert re.findall(r"""["'`][A-Z][a-z]+ [a-z][^"'`]*["'`]""", code) == [], name


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-GB, en;q=0.9, de;q=0.8", "en"),
        ("fr, de;q=0.5, en;q=0.4", "de"),
        ("en;q=0.1, DE ; q=0.2", "de"),
        ("fr", "en"),
        ("*", "en"),
        ("de;q=0", "en"),
        ("de;q=9, en;q=0.1", "en"),
        ("de;level=1", "en"),
        (";;,,=", "en"),
    ],
)
def test_language_is_the_one_that_the_browser_prefers(accepted: str, language: str) -> None:
    """Among those that there are; what is no weight counts as none."""
    assert choose_language(accepted, ("en", "de")) == language


@pytest.mark.parametrize(
    ("cookie", "language"),
    [
        ("", "de"),
        ("gateway_language=en", "en"),
        ("other=1; gateway_language=en", "en"),
        ("gateway_language=", "de"),
        ("gateway_language=fr", "de"),
        ('gateway_language="><script>', "de"),
    ],
)
def test_readers_choice_of_a_language_goes_first(cookie: str, language: str) -> None:
    """But only one that there is; and no cache between them gives one reader another's page."""
    headers = [(b"accept-language", b"de"), (b"cookie", cookie.encode())]
    for name in ("index.html", "service_worker.js"):
        response = page_response({"type": "http", "headers": headers}, name)
        found = set(re.findall(r"words/(\w+)\.js", bytes(response.body).decode()))
        assert found == {language}
        assert "Cookie" in response.headers["vary"]


@pytest.mark.asyncio(loop_scope="session")
async def test_language_is_chosen_in_the_settings(browser: Browser, tmp_path: Path) -> None:
    """For good, until the browser's is chosen again; an answer that is coming is not cut for it."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        page = chat.page
        await page.click("#show-settings")
        switch = page.get_by_role("combobox", name="Language")
        await switch.wait_for()  # the settings are loaded when they are opened first
        assert await switch.locator("option").all_inner_texts() == [
            "As the browser",
            *(str(WORDS[language]["language.own"]) for language in sorted(WORDS)),
        ]
        await switch.select_option("de")
        await page.locator('html[lang="de"] [data-ready]').wait_for()
        await chat.reload()
        await page.get_by_role("button", name="Neuer Chat").wait_for()
        gateway.gpt.enqueue([Text("Es war")], silence)
        await chat.ask("Eine Geschichte?")
        await chat.last_answer.get_by_text("Es war").wait_for()
        await page.click("#show-settings")
        switch = page.get_by_role("combobox", name="Sprache")
        assert await switch.input_value() == "de"
        await switch.select_option("")
        await page.get_by_text("Die Sprache wechselt, wenn die Seite neu geladen wird").wait_for()
        await page.keyboard.press("Escape")
        await page.click("#stop")
        await chat.last_answer.get_by_text("Angehalten").wait_for()
        await chat.reload()
        await page.get_by_role("button", name="New chat").wait_for()


@pytest.mark.asyncio(loop_scope="session")
async def test_page_is_in_the_browsers_language(browser: Browser, tmp_path: Path) -> None:
    """From its first paint to what stands under an answer, numbers too."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="de-DE") as chat,
    ):
        assert await chat.page.locator("html").get_attribute("lang") == "de"
        assert await chat.page.locator("#send").get_attribute("aria-label") == "Senden"
        gateway.gpt.enqueue(*answer("Hallo"))
        await chat.ask_and_wait("Hallo?")
        facts = await chat.facts()
        assert re.search(r"insgesamt \d+,\d\d s", facts)
        assert await chat.status() == "Die Antwort ist vollständig"
