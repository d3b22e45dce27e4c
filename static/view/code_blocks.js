// Code blocks: a heading with the language and a copy button, and colours.

import { grammarFor, highlight, isLoaded, loadGrammar } from "../text/highlighter.js";
import { copyButton } from "./clipboard.js";
import { make } from "./elements.js";

const LONGEST_COLOURED = 50_000; // characters; longer code stays plain

/** Gives every code block within the element its heading and its colours. */
export function dressCodeBlocks(root) {
  for (const code of root.querySelectorAll("pre > code")) {
    const pre = code.parentElement;
    const language = /\blanguage-(\S+)/.exec(code.className)?.[1] ?? "text";
    pre.dir = "ltr";
    pre.tabIndex = 0; // so that it can be scrolled by keyboard
    pre.setAttribute("role", "region");
    pre.setAttribute("aria-label", `Code, ${language}`);
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
    copyButton("Copy code", () => code.textContent),
  );
}

async function colour(code, grammar) {
  if (!grammar || code.textContent.length > LONGEST_COLOURED) return;
  if (!isLoaded(grammar)) await loadGrammar(grammar);
  code.replaceChildren(highlight(code.textContent, grammar));
}
