// Colours code. The library is loaded with the first code, a language's grammar when it is first met.

import { sanitizeCode } from "./sanitiser.js";

const GRAMMARS = {
  bash: ["sh", "shell", "zsh", "console"],
  cpp: ["c", "c++", "cc", "h", "hpp"],
  css: ["scss"],
  diff: ["patch"],
  go: ["golang"],
  ini: ["toml"],
  java: [],
  json: ["jsonc"],
  python: ["py", "python3"],
  rust: ["rs"],
  sql: ["postgresql", "sqlite"],
  typescript: ["ts", "tsx", "js", "jsx", "mjs", "javascript"],
  xml: ["html", "svg"],
  yaml: ["yml"],
};

let library = null;
const loading = new Map();

/** The grammar for a language as a model names it; undefined where there is none. */
export function grammarFor(language) {
  const name = language.toLowerCase();
  return Object.keys(GRAMMARS).find((grammar) => grammar === name || GRAMMARS[grammar].includes(name));
}

export const isLoaded = (grammar) => library?.getLanguage(grammar) !== undefined;

/** Resolves when the grammar can be used. */
export function loadGrammar(grammar) {
  if (!loading.has(grammar)) loading.set(grammar, importGrammar(grammar));
  loading.get(grammar).catch(() => loading.delete(grammar)); // it may come the next time
  return loading.get(grammar);
}

async function importGrammar(grammar) {
  const [core, { default: define }] = await Promise.all([
    import("../vendor/highlight/core.min.js"),
    import(`../vendor/highlight/${grammar}.min.js`),
  ]);
  library = core.default;
  library.registerLanguage(grammar, define);
}

/** The code in colours, as a fragment; its text is the code's. */
export function highlight(text, grammar) {
  return sanitizeCode(library.highlight(text, { language: grammar, ignoreIllegals: true }).value);
}
