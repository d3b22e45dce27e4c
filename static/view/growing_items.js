// A long list or table that is still being written: what is new is put at its end, and only the last item made anew.

import { toHtml } from "../text/markdown.js";
import { sanitizeMarkdown } from "../text/sanitiser.js";
import { dressBlocks } from "./blocks.js";

const LONG = 20; // items; shorter ones are made anew as any other block
const KINDS = {
  list: { items: "items", selector: ":scope > li", place: (element) => element },
  table: { items: "rows", selector: "tbody > tr", place: (element) => element.querySelector("tbody") }, // in its frame
};

/** What makes the element of this block grow; null where the block is short, or no list and no table. */
export function growItems(block, element) {
  const kind = KINDS[block?.type];
  return kind && block[kind.items].length > LONG ? new GrowingItems(kind, block, element) : null;
}

class GrowingItems {
  #kind;
  #element;
  #count;
  #isLoose;

  constructor(kind, block, element) {
    this.#kind = kind;
    this.#element = element;
    this.#count = block[kind.items].length;
    this.#isLoose = block.loose;
  }

  /** Shows the block, which has grown; false where that needs more than new items at its end. */
  grow(block) {
    const { items, place } = this.#kind;
    if (!KINDS[block?.type] || block.loose !== this.#isLoose || !(block[items]?.length >= this.#count)) return false;
    const parent = place(this.#element);
    parent.lastElementChild.remove(); // the item that was being written
    parent.append(...this.#make({ ...block, [items]: block[items].slice(this.#count - 1) }));
    this.#count = block[items].length;
    return true;
  }

  #make(block) {
    const fragment = sanitizeMarkdown(toHtml([block]));
    dressBlocks(fragment);
    return fragment.firstElementChild.querySelectorAll(this.#kind.selector);
  }
}
