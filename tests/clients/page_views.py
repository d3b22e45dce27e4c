"""How a page is seen, and what holds in each view: axe-core finds no fault, nothing is too wide, a finger has room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Page

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
VIEWS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": PHONE,
    "narrow": {"viewport": {"width": 320, "height": 640}},
    "400 percent": {"viewport": {"width": 320, "height": 256}},
    "German": {"locale": "de-DE"},
}

_AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_RUN_AXE = """async () => {
    const { passes, violations } = await axe.run({ rules: { "target-size": { enabled: true } } });
    const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
    const faults = serious.flatMap(({ id, nodes }) => nodes.map(({ html }) => [id, html]));
    return { passed: passes.length, faults };
}"""
_SMALL_TARGETS = """() => {
    const small = [];
    const fields = "input:not([type=radio], [type=checkbox])";
    const all = document.querySelectorAll(`button, select, summary, label:has(input), ${fields}`);
    for (const element of all) {
        if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
        const { width, height } = element.getBoundingClientRect();
        if (Math.round(width) < 44 || Math.round(height) < 44)
            small.push(`${element.id || element.ariaLabel || element.textContent}: ${width} x ${height}`);
    }
    return small;
}"""


async def load_axe(page: Page) -> None:
    """Put axe-core into the page; without it the test is skipped."""
    if not _AXE.is_file():
        pytest.skip("axe-core is not in node_modules/: see `make page-tools`")
    await page.evaluate(_AXE.read_text(encoding="utf-8"))


async def check_with_axe(page: Page, state: str) -> None:
    """What axe-core calls serious or critical is none of this page's, and nothing is wider than the window."""
    report = await page.evaluate(_RUN_AXE)
    assert report["passed"] > 10, state
    assert report["faults"] == [], state
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, state


async def check_room_for_a_finger(page: Page, state: str) -> None:
    """All that can be touched is at least 44 pixels wide and high."""
    assert await page.evaluate(_SMALL_TARGETS) == [], state
