// Code blocks: a heading with the language and what can be done with the code, and colours.

import { grammarFor, highlight, isLoaded, loadGrammar } from "../text/highlighter.js";
import { copyButton } from "./clipboard.js";
import { download } from "./download.js";
import { iconButton, make } from "./elements.js";
import { say } from "../words.js";

// A grammar may look ahead from each character to the end of its line, or of its white space: such code stays plain.
const LONGEST_COLOURED = 20_000; // characters
const ENDINGS = {
  bash: "sh",
  cpp: "cpp",
  css: "css",
  diff: "diff",
  go: "go",
  ini: "ini",
  java: "java",
  json: "json",
  python: "py",
  rust: "rs",
  sql: "sql",
  typescript: "ts",
  xml: "xml",
  yaml: "yaml",
};
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
    toggle("wrap", say("code.wrap"), "wrapped"),
    toggle("fold", say("code.fold"), "folded"),
    iconButton("export", say("code.download"), () => download(fileName(language), code.textContent, "text/plain")),
    copyButton(say("code.copy"), () => code.textContent),
  );
}

/** A button that is pressed or not, as the figure has the class or not. */
function toggle(icon, label, className) {
  const button = iconButton(icon, label, () => {
    const isOn = button.closest("figure").classList.toggle(className);
    button.setAttribute("aria-pressed", String(isOn));
  });
  button.setAttribute("aria-pressed", "false");
  return button;
}

const fileName = (language) => `code.${ENDINGS[grammarFor(language)] ?? "txt"}`;

async function colour(code, grammar) {
  const text = code.textContent;
  if (!grammar || text.length > LONGEST_COLOURED || COSTLY.test(text)) return;
  try {
    if (!isLoaded(grammar)) await loadGrammar(grammar);
  } catch {
    return; // without its colours code is code
  }
  code.replaceChildren(highlight(text, grammar));
}
