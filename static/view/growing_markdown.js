// Markdown that grows while it is shown. Blocks that are followed by others are done and stay as they are; only the
// last one is made anew, so that a long answer costs no more a frame than a short one.

import { readBlocks, toHtml } from "../text/markdown.js";
import { sanitizeMarkdown } from "../text/sanitiser.js";
import { dressCodeBlocks } from "./code_blocks.js";

const LONG_CODE = 2000; // characters

export class GrowingMarkdown {
  #element;
  #settled = 0; // characters of the text whose blocks are done
  #tail = []; // the nodes of the last block
  #links = {};
  #openCode = null; // the text node of a code block that is still being written, and how much it has

  constructor(element) {
    this.#element = element;
  }

  /** Shows the text, which begins with what was shown before; `isLast` says that it will not grow any more. */
  show(text, { isLast = false } = {}) {
    const source = text.replaceAll("\r\n", "\n").replaceAll("\r", "\n");
    this.#grow(source, isLast);
    if (!isLast || !Object.keys(this.#links).length) return;
    this.#clear(); // a link may be defined after the block that has it
    this.#grow(source, true);
  }

  /** Forgets what was shown: another text begins. */
  reset() {
    this.#clear();
    this.#links = {};
  }

  #clear() {
    this.#element.replaceChildren();
    this.#settled = 0;
    this.#tail = [];
    this.#openCode = null;
  }

  #grow(source, isLast) {
    const blocks = readBlocks(source.slice(this.#settled), this.#links);
    const last = isLast ? blocks.length : blocks.findLastIndex((block) => block.type !== "space");
    const [done, open] = [blocks.slice(0, last), blocks.slice(last)];
    if (!done.length && this.#growCode(open[0])) return;
    for (const node of this.#tail) node.remove();
    this.#append(done);
    this.#settled += done.reduce((length, block) => length + block.raw.length, 0);
    this.#tail = this.#append(open);
    this.#openCode = this.#findOpenCode(open[0]);
  }

  #append(blocks) {
    if (!blocks.length) return [];
    const fragment = sanitizeMarkdown(toHtml(blocks));
    dressCodeBlocks(fragment);
    const nodes = [...fragment.childNodes];
    this.#element.append(fragment);
    return nodes;
  }

  /** Long code is not made anew for each of its lines: these are put at its end. It gets its colours when it is done. */
  #growCode(block) {
    const code = this.#openCode;
    if (!code || !isLongCode(block) || !block.text.startsWith(code.text)) return false;
    code.element.append(block.text.slice(code.text.length));
    code.text = block.text;
    return true;
  }

  #findOpenCode(block) {
    if (!isLongCode(block)) return null;
    const element = this.#tail.find((node) => node.querySelector)?.querySelector("code");
    element.textContent = block.text;
    return { element, text: block.text };
  }
}

const isLongCode = (block) => block?.type === "code" && block.text.length > LONG_CODE;
