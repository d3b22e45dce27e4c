// Markdown to HTML, in a model's dialect: HTML is shown as it is written, math is left alone, images are links.
// What comes out is not safe yet: sanitiser.js makes it so.

import { Marked, Lexer, Parser } from "../vendor/marked/marked.esm.js";

const HARMLESS_TAG = /^<\/?(?:b|br|em|i|kbd|mark|s|strong|sub|sup|u)\s*\/?>$/i;
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

const renderer = {
  html({ text, block }) {
    if (HARMLESS_TAG.test(text.trim())) return text;
    return block ? `<p class="raw">${escapeHtml(text.trimEnd())}</p>` : escapeHtml(text);
  },
  image({ href, text }) {
    return `<a href="${escapeHtml(href)}">${escapeHtml(text || "image")}</a>`; // never fetched: that would tell who reads
  },
  code({ text, lang }) {
    const name = /^[\w+#.-]{1,30}/.exec(lang ?? "")?.[0];
    return `<pre><code${name ? ` class="language-${name}"` : ""}>${escapeHtml(text)}\n</code></pre>`;
  },
  checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
};

const dialect = new Marked({ gfm: true, breaks: false });
dialect.use({ extensions: [math], renderer });

/**
 * The top-level blocks of a text; each has its source as `raw`, and these join to the text.
 * `links` are the link definitions that are known; those in the text are added to them.
 */
export function readBlocks(text, links) {
  const lexer = new Lexer(dialect.defaults);
  Object.assign(lexer.tokens.links, links);
  const blocks = lexer.lex(text);
  Object.assign(links, blocks.links);
  return [...blocks];
}

export const toHtml = (blocks) => new Parser(dialect.defaults).parse(blocks);
