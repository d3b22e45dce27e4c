// Markdown that grows while it is shown. Blocks that are followed by others are done and stay as they are; only the
// last one is made anew, or grows at its end, so that a long answer costs no more a frame than a short one.

import { readBlocks, toHtml } from "../text/markdown.js";
import { sanitizeMarkdown } from "../text/sanitiser.js";
import { dressCodeBlocks } from "./code_blocks.js";
import { make } from "./elements.js";
import { growCode } from "./growing_code.js";
import { growItems } from "./growing_items.js";

export class GrowingMarkdown {
  #element;
  #settled = 0; // characters of the text whose blocks are done
  #tail = []; // the nodes of the last block, which may still grow
  #isPlain = false;
  #grower = null; // what makes it grow without making it anew
  #lengths = []; // of these blocks
  #links = {}; // the definitions among them

  constructor(element) {
    this.#element = element;
  }

  /** Shows the text, which begins with what was shown before; `isLast` says that it will not grow any more. */
  show(text, { isLast = false } = {}) {
    if (this.#isPlain) return this.#showPlain(text);
    try {
      this.#showMarkdown(text, isLast);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // the stack is too small for what is nested that deep
      this.reset();
      this.#isPlain = true;
      this.#showPlain(text);
    }
  }

  #showPlain(text) {
    this.#element.replaceChildren(make("p", { class: "raw", dir: "auto" }, text));
  }

  #showMarkdown(text, isLast) {
    const source = text.replaceAll("\r\n", "\n").replaceAll("\r", "\n");
    this.#grow(source, isLast);
    if (!isLast || this.#isAsIfAtOnce(source)) return;
    this.reset();
    this.#grow(source, true);
  }

  /** Whether the text at once would look the same: no link was defined after its use, no block has joined another. */
  #isAsIfAtOnce(source) {
    const { blocks, links } = readBlocks(source, {});
    return !Object.keys(links).length && String(blocks.map((block) => block.raw.length)) === String(this.#lengths);
  }

  /** Forgets what was shown: another text begins. */
  reset() {
    this.#isPlain = false;
    this.#links = {};
    this.#lengths = [];
    this.#element.replaceChildren();
    this.#settled = 0;
    this.#tail = [];
    this.#grower = null;
  }

  #grow(source, isLast) {
    const { blocks } = readBlocks(source.slice(this.#settled), this.#links);
    const last = isLast ? blocks.length : blocks.findLastIndex((block) => block.type !== "space");
    if (this.#grower?.grow(blocks[0], isLast)) {
      if (last > 0) this.#settle(blocks, last, 1);
    } else {
      for (const node of this.#tail) node.remove();
      this.#settle(blocks, last, 0);
    }
  }

  /** Shows the blocks from the `first` on, of which those before the `last` are done. */
  #settle(blocks, last, first) {
    this.#append(blocks.slice(first, last));
    for (const block of blocks.slice(0, last)) {
      this.#settled += block.raw.length;
      this.#lengths.push(block.raw.length);
      if (block.type === "def") this.#links[block.tag] ??= block;
    }
    this.#tail = this.#append(blocks.slice(last));
    const [block, element] = [blocks[last], this.#tail.find((node) => node.nodeType === Node.ELEMENT_NODE)];
    this.#grower = element ? (growCode(block, element) ?? growItems(block, element)) : null;
  }

  #append(blocks) {
    if (!blocks.length) return [];
    const fragment = sanitizeMarkdown(toHtml(blocks));
    dressCodeBlocks(fragment);
    const nodes = [...fragment.childNodes];
    this.#element.append(fragment);
    return nodes;
  }
}
