// marked's lexer with limits. Its rules look ahead to the end of what they are given, for each character that may be a
// mark: some texts would take minutes. So inline text is read in pieces, nesting ends, and a table is not filled up.

import { lastCut } from "./cut.js";
import { Lexer } from "../vendor/marked/marked.esm.js";

const PIECE_CHARACTERS = 3000;
const PIECE_MARKS = 200; // punctuation, any of which may begin or end something
const NESTED_BLOCKS = 16;
const HEADING_LINES = 20; // of a heading that is underlined
const UNDERLINE = / {0,3}(?:=+|-+)[ \t]*(?:\n|$)/y;
const RULER = /^ {0,3}(?:\| *)?:?-+:? *(?:\| *:?-+:? *)*(?:\| *)?$/; // between a table's head and its rows
const SPARE_CELLS = 1000; // that a table may have more than characters
const MARK = /[!-/:-@[-`{-~]/g;

export class BoundedLexer extends Lexer {
  #depth = 0;

  blockTokens(source, tokens = [], isClipped = false) {
    if (this.#depth >= NESTED_BLOCKS) {
      tokens.push({ type: "text", raw: source, text: source });
      return tokens;
    }
    this.#depth += 1;
    try {
      return super.blockTokens(source, tokens, isClipped);
    } finally {
      this.#depth -= 1;
    }
  }

  inlineTokens(source, tokens = []) {
    for (const piece of inlinePieces(source)) super.inlineTokens(piece, tokens);
    return tokens;
  }
}

/** The text in pieces within the limits, cut at white space if there is some. */
function* inlinePieces(source) {
  let begin = 0;
  while (begin < source.length) {
    const limit = pieceLimit(source, begin);
    const end = limit < source.length ? lastCut(source, begin, limit) : limit;
    yield source.slice(begin, end);
    begin = end;
  }
}

function pieceLimit(source, begin) {
  const end = Math.min(begin + PIECE_CHARACTERS, source.length);
  MARK.lastIndex = begin;
  for (let marks = 0; marks < PIECE_MARKS; marks++) {
    const found = MARK.exec(source);
    if (!found || found.index >= end) return end;
  }
  return MARK.lastIndex;
}

/** Limits of marked's rules, in its form: `false` has marked's own rule decide, `undefined` says that it is not met. */
export const boundedRules = {
  lheading: (source) => (isUnderlined(source) ? false : undefined),

  table(source) {
    const columns = countColumns(source);
    const found = columns && this.rules.block.table.exec(source);
    if (!found) return undefined;
    const [raw] = found;
    if (columns * raw.split("\n").length <= raw.length + SPARE_CELLS) return false;
    return { type: "paragraph", raw, text: raw, tokens: this.lexer.inline(raw) }; // each row would be filled up
  },
};

/** Whether a line that makes a heading of those before it is near; marked's rule looks up to the end of a paragraph. */
function isUnderlined(source) {
  let end = 0;
  for (let line = 0; line < HEADING_LINES; line++) {
    end = source.indexOf("\n", end) + 1;
    if (!end) return false;
    UNDERLINE.lastIndex = end;
    if (UNDERLINE.test(source)) return true;
  }
  return false;
}

/** How many columns the table has that begins here; none if its first two lines are no head and ruler. */
function countColumns(source) {
  const [head, ruler] = source.split("\n", 2);
  if (!ruler || !/[|:]/.test(ruler) || !RULER.test(ruler)) return 0;
  const columns = ruler.match(/-+/g).length;
  return splitRow(head).length === columns ? columns : 0;
}

function splitRow(line) {
  const cells = line.replace(/\\./g, "").trim().split("|");
  if (!cells[0].trim()) cells.shift();
  if (cells.length && !cells.at(-1).trim()) cells.pop();
  return cells;
}
