// Markdown to HTML, in a model's dialect: HTML is shown as it is written, math is left alone, images are links.
// What comes out is not safe yet: sanitiser.js makes it so.

import { BoundedLexer, boundedRules } from "./bounded_lexer.js";
import { visibleCode } from "./invisible.js";
import { Marked, Parser } from "../vendor/marked/marked.esm.js";

const LONGEST_OUTLINED = 64_000; // characters
const MOST_LINES_OUTLINED = 4_000; // for each line of a nested block, marked copies what it has of that block
const LINE_BREAK = /^<br\s*\/?>$/i;
const PAIR = /^<(b|em|i|kbd|mark|s|strong|sub|sup|u)>([^<]*)<\/\1>/i;
const MATH = /^(?:\$\$[^]+?\$\$|\\\([^]+?\\\)|\\\[[^]+?\\\]|\$(?![\s$])[^$\n]*?[^\s$\\]\$(?!\d))/;
const MATH_BLOCK = /^ {0,3}(\$\$(?:(?!\$\$|\n[ \t]*\n)[^]){1,4000}\$\$|\\\[(?:(?!\\\]|\n[ \t]*\n)[^]){1,4000}\\\])[ \t]*(?:\n+|$)/;
const MATH_START = /\$|\\[([]/;

const NOTE = /^\[\^([^\]\s]{1,40})\]:[ \t]*/;
const NOTE_MARK = /^\[\^([^\]\s]{1,40})\](?!:)/;
const NOTE_ENDS = /^[ \t]*\n|^\[\^[^\]\s]{1,40}\]:/; // a blank line, or the next note

const escapeHtml = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const math = {
  name: "math",
  level: "inline",
  start: (source) => source.match(MATH_START)?.index,
  tokenizer(source) {
    const found = MATH.exec(source);
    return found ? { type: "math", raw: found[0] } : undefined;
  },
  renderer: ({ raw }) => `<span class="math">${escapeHtml(raw)}</span>`,
};

/** Math in lines of its own: what would begin a list or a heading elsewhere is a part of it. */
const mathBlock = {
  name: "mathBlock",
  level: "block",
  tokenizer(source) {
    const found = MATH_BLOCK.exec(source);
    return found ? { type: "mathBlock", raw: found[0], text: found[1] } : undefined;
  },
  renderer: ({ text }) => `<p><span class="math">${escapeHtml(text)}</span></p>\n`,
};

/** The few tags that models use for want of Markdown, as H<sub>2</sub>O; an open one alone stays text. */
const pair = {
  name: "pair",
  level: "inline",
  start: (source) => source.match(/<[a-z]/i)?.index,
  tokenizer(source) {
    const found = PAIR.exec(source);
    return found
      ? { type: "pair", raw: found[0], tag: found[1], tokens: this.lexer.inlineTokens(found[2]) }
      : undefined;
  },
  renderer({ tag, tokens }) {
    return `<${tag}>${this.parser.parseInline(tokens)}</${tag}>`;
  },
};

/** `[^1]: …` at the beginning of a line, with the lines that go on in it; `links` has it, too, for its mark. */
const note = {
  name: "note",
  level: "block",
  tokenizer(source) {
    const found = NOTE.exec(source);
    if (!found) return undefined;
    const raw = source.slice(0, endOfNote(source));
    const tag = `^${found[1].toLowerCase()}`;
    this.lexer.tokens.links[tag] ??= { href: "", title: "", isNote: true };
    const text = raw.slice(found[0].length).replace(/\n[ \t]+/g, "\n").trim();
    return { type: "note", raw, tag, label: found[1], tokens: this.lexer.inline(text) };
  },
  renderer({ label, tokens }) {
    return `<p class="note-text"><sup>${escapeHtml(label)}</sup> ${this.parser.parseInline(tokens)}</p>\n`;
  },
};

function endOfNote(source) {
  let end = source.indexOf("\n") + 1 || source.length;
  while (end < source.length && !NOTE_ENDS.test(source.slice(end, end + 60))) {
    end = source.indexOf("\n", end) + 1 || source.length;
  }
  return end;
}

/** `[^1]` is a note's mark if there is such a note; else it is text, as `[^a-z]` in an expression. */
const noteMark = {
  name: "noteMark",
  level: "inline",
  start: (source) => source.match(/\[\^/)?.index,
  tokenizer(source) {
    const found = NOTE_MARK.exec(source);
    if (!found || !this.lexer.tokens.links[`^${found[1].toLowerCase()}`]?.isNote) return undefined;
    return { type: "noteMark", raw: found[0], label: found[1] };
  },
  renderer: ({ label }) => `<sup class="note-mark">${escapeHtml(label)}</sup>`,
};

const renderer = {
  html({ text, block }) {
    if (LINE_BREAK.test(text.trim())) return "<br>";
    return block ? `<p class="raw">${escapeHtml(text.trimEnd())}</p>` : escapeHtml(text);
  },
  image({ href, text, tokens }) {
    // It is never fetched: that would tell its host who reads.
    const isPlain = tokens && !tokens.some(({ type }) => type in this.options.extensions.renderers);
    const words = isPlain ? this.parser.parseInline(tokens, this.parser.textRenderer) : text;
    return `<a href="${escapeHtml(href)}">${escapeHtml(words) || "image"}</a>`;
  },
  code({ text, lang }) {
    const name = /^[\w+#.-]{1,30}/.exec(lang ?? "")?.[0];
    return `<pre><code${name ? ` class="language-${name}"` : ""}>${escapeHtml(visibleCode(text))}\n</code></pre>`;
  },
  codespan: ({ text }) => `<code>${escapeHtml(visibleCode(text))}</code>`,
  heading({ tokens, depth }) {
    const level = Math.min(depth + 2, 6); // below the page's own headings
    return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
  },
  listitem(item) {
    const text = this.parser.parse(item.tokens);
    return `<li${item.task ? ' class="task"' : ""}>${text}</li>\n`;
  },
  checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
};

const dialect = new Marked({ gfm: true, breaks: false });
dialect.use({ extensions: [math, mathBlock, pair, note, noteMark], renderer, tokenizer: boundedRules });

/**
 * The top-level blocks of a text; each has its source as `raw`, and these join to the text.
 * `links` are the link definitions that are known already; returned are these and those in the text.
 */
export function readBlocks(text, links) {
  const lexer = new BoundedLexer(dialect.defaults);
  Object.assign(lexer.tokens.links, links);
  const blocks = lexer.lex(text);
  return { blocks: [...blocks], links: blocks.links };
}

/** The same without what is within the blocks, which takes far less time; null if it would still take too much. */
export function outline(text) {
  if (text.length > LONGEST_OUTLINED || text.split("\n").length > MOST_LINES_OUTLINED) return null;
  const lexer = new BoundedLexer(dialect.defaults);
  const blocks = lexer.blockTokens(text, lexer.tokens);
  return { blocks: [...blocks], links: blocks.links };
}

export const toHtml = (blocks) => new Parser(dialect.defaults).parse(blocks);
