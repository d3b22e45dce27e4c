// The page's words: each language has the same ones, with the same values, in all the forms of its plurals.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";

const FOLDER = new URL("../../../static/words/", import.meta.url);
const LANGUAGES = readdirSync(FOLDER).map((name) => name.replace(".js", ""));
const read = async (language) => (await import(new URL(`${language}.js`, FOLDER))).default;

const english = await read("en");
const formsOf = (words) => (typeof words === "string" ? { other: words } : words);
const valuesIn = (words) => {
  const texts = Object.values(formsOf(words)).join(); // "the oldest question" needs no count, "the {count} oldest" does
  return [...new Set(texts.match(/\{\w+\}/g))].sort();
};

test("there is a language beside English", () => assert.ok(LANGUAGES.length > 1, LANGUAGES.join()));

for (const language of LANGUAGES) {
  const words = await read(language);
  const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories;

  test(`${language} has every word of English, and no other`, () => {
    assert.deepEqual(Object.keys(words), Object.keys(english));
  });

  test(`${language} says the same values in each word`, () => {
    for (const [key, text] of Object.entries(words)) assert.deepEqual(valuesIn(text), valuesIn(english[key]), key);
  });

  test(`${language} has the forms that its plurals need`, () => {
    for (const [key, text] of Object.entries(words)) {
      if (typeof text === "string") assert.equal(typeof english[key], "string", key);
      else assert.deepEqual(Object.keys(text).sort(), forms.toSorted(), key);
    }
  });

  test(`${language} says how it is called and in which direction it runs`, () => {
    assert.ok(words["language.own"].trim());
    assert.ok(["ltr", "rtl"].includes(words["language.direction"]));
  });
}
