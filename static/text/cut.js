// Where a text is cut that is too long for one piece.

const SPACE = /\s/;
const FIRST_HALF = /[\uD800-\uDBFF]/; // of a character outside the basic plane

/** The last place up to `limit` at which the text is best cut: after a line, else after a word, else where it may. */
export function lastCut(text, begin, limit) {
  const newline = text.lastIndexOf("\n", limit - 1);
  if (newline >= begin) return newline + 1;
  for (let end = limit; end > begin; end--) if (SPACE.test(text[end - 1])) return end;
  return limit - begin > 1 && FIRST_HALF.test(text[limit - 1]) ? limit - 1 : limit;
}
