// Sets math in type. The library is loaded when the first math is met; until then, and where it makes nothing of what is
// written, math stays as it is written.

import { sanitizeMath } from "../text/sanitiser.js";
import { loadMathLibrary } from "./own_files.js";

const LONGEST = 4_000; // characters
const DELIMITED = /^(\$\$|\\\[|\$|\\\()([^]*?)(?:\$\$|\\\]|\$|\\\))$/;
const OPTIONS = {
  throwOnError: true,
  trust: false, // no links, pictures, classes or styles of the text's own
  maxExpand: 500, // of macros that are defined by macros
  maxSize: [20, 20], // em: no space or rule leads far away
};

let library = null;
let loading = null;

/** Resolves when math can be set. */
export function loadMath() {
  loading ??= loadMathLibrary().then((loaded) => (library = loaded));
  return loading;
}

/** Sets all math within the element, now or when the library has come. */
export function setMath(root) {
  const places = [...root.querySelectorAll(".math")];
  if (!places.length) return;
  if (library) for (const place of places) set(place);
  else loadMath().then(() => places.forEach(set), () => (loading = null)); // it may come the next time
}

function set(place) {
  const source = place.textContent;
  const [, opening, text] = DELIMITED.exec(source) ?? [];
  if (!text?.trim() || source.length > LONGEST) return;
  const displayMode = opening === "$$" || opening === "\\[";
  try {
    const math = sanitizeMath(library.renderToString(text, { ...OPTIONS, displayMode }));
    place.replaceChildren(math);
  } catch {
    return; // no math that the library knows
  }
  place.title = source;
  place.classList.add("set");
  place.classList.toggle("display", displayMode);
}
