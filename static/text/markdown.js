// Markdown to HTML, in a model's dialect: HTML is shown as it is written, math is left alone, images are links.
// What comes out is not safe yet: sanitiser.js makes it so.

import { Marked, Lexer, Parser } from "../vendor/marked/marked.esm.js";

const LINE_BREAK = /^<br\s*\/?>$/i;
const PAIR = /^<(b|em|i|kbd|mark|s|strong|sub|sup|u)>([^<]*)<\/\1>/i;
const MATH = /^(?:\$\$[^]+?\$\$|\\\([^]+?\\\)|\\\[[^]+?\\\]|\$(?![\s$])[^$\n]*?[^\s$\\]\$(?!\d))/;
const MATH_START = /\$|\\[([]/;

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

const renderer = {
  html({ text, block }) {
    if (LINE_BREAK.test(text.trim())) return "<br>";
    return block ? `<p class="raw">${escapeHtml(text.trimEnd())}</p>` : escapeHtml(text);
  },
  image({ href, text }) {
    // It is never fetched: that would tell its host who reads.
    return `<a href="${escapeHtml(href)}">${escapeHtml(text || "image")}</a>`;
  },
  code({ text, lang }) {
    const name = /^[\w+#.-]{1,30}/.exec(lang ?? "")?.[0];
    return `<pre><code${name ? ` class="language-${name}"` : ""}>${escapeHtml(text)}\n</code></pre>`;
  },
  heading({ tokens, depth }) {
    const level = Math.min(depth + 2, 6); // below the page's own headings
    return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
  },
  checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
};

const dialect = new Marked({ gfm: true, breaks: false });
dialect.use({ extensions: [math, pair], renderer });

/**
 * The top-level blocks of a text; each has its source as `raw`, and these join to the text.
 * `links` are the link definitions that are known already; returned are these and those in the text.
 */
export function readBlocks(text, links) {
  const lexer = new Lexer(dialect.defaults);
  Object.assign(lexer.tokens.links, links);
  const blocks = lexer.lex(text);
  return { blocks: [...blocks], links: blocks.links };
}

export const toHtml = (blocks) => new Parser(dialect.defaults).parse(blocks);
