// Code blocks: a heading with the language and a copy button, and colours.

import { grammarFor, highlight, isLoaded, loadGrammar } from "../text/highlighter.js";
import { copyButton } from "./clipboard.js";
import { make } from "./elements.js";
import { say } from "../words.js";

// A grammar may look ahead from each character to the end of its line, or of its white space: such code stays plain.
const LONGEST_COLOURED = 20_000; // characters
const COSTLY = /[^\n]{500}|\s{100}/;

/** Gives every code block within the element its heading and its colours. */
export function dressCodeBlocks(root) {
  for (const code of root.querySelectorAll("pre > code")) {
    const pre = code.parentElement;
    const language = /\blanguage-(\S+)/.exec(code.className)?.[1] ?? say("code.text");
    pre.dir = "ltr";
    pre.tabIndex = 0; // so that it can be scrolled by keyboard
    pre.setAttribute("role", "region");
    pre.setAttribute("aria-label", say("code.label", { language }));
    const figure = make("figure", { class: "code" });
    pre.replaceWith(figure);
    figure.append(makeHeading(code, language), pre);
    colour(code, grammarFor(language));
  }
}

function makeHeading(code, language) {
  return make(
    "figcaption",
    {},
    make("span", {}, language),
    copyButton(say("code.copy"), () => code.textContent),
  );
}

async function colour(code, grammar) {
  const text = code.textContent;
  if (!grammar || text.length > LONGEST_COLOURED || COSTLY.test(text)) return;
  if (!isLoaded(grammar)) await loadGrammar(grammar);
  code.replaceChildren(highlight(text, grammar));
}
