// Titles of conversations.

import assert from "node:assert/strict";
import { test } from "node:test";

import { makeTitle, readTitle } from "../../../static/chat/title.js";

const TITLES = {
  "**Bold** question": "Bold question",
  "# A heading\n\nand more": "A heading",
  "> quoted": "quoted",
  "- an _item_ of a list": "an item of a list",
  "1. first": "first",
  "Use `git log` here": "Use git log here",
  "See [the page](https://example.com) now": "See the page now",
  "![a cat](cat.png)": "a cat",
  "~~gone~~ here": "gone here",
  "```python\nprint(1)\n```": "print(1)",
  "\n\n  spaced   out \n": "spaced out",
  "snake_case_name and 2*3*4": "snake_case_name and 2*3*4",
  "***very*** bold": "very bold",
  "**Bold over\ntwo lines**": "Bold over",
  "2 ** 3 and 2**3": "2 ** 3 and 2**3",
  "C# and F#": "C# and F#",
  "?": "?",
  "": "",
};

for (const [text, title] of Object.entries(TITLES)) {
  test(`${JSON.stringify(text)} is called ${JSON.stringify(title)}`, () => assert.equal(makeTitle(text), title));
}

test("a long title is shortened, and no character is cut in two", () => {
  const title = makeTitle("🙂".repeat(100));
  assert.equal(title, `${"🙂".repeat(60)}…`);
});

test("a long text in bold has no marks", () => {
  assert.equal(makeTitle(`**${"word ".repeat(200)}**`), `${"word ".repeat(12).trim()}…`);
});

test("no text takes long", () => {
  for (const unit of ["*a_", "[", "**a ", "`a", "_a", "~~a", "[a]("]) makeTitle(unit.repeat(50_000));
});

test("a model's title is taken without what models put around it", () => {
  assert.equal(readTitle('"Moon distance"'), "Moon distance");
  assert.equal(readTitle("**Title: Moon distance.**\n\nHope that helps"), "Moon distance");
  assert.equal(readTitle("Title: Moon"), "Moon");
  assert.equal(readTitle("**The Moon"), "The Moon");
  assert.equal(readTitle("„Mond“"), "Mond");
});
