// Markdown that grows while it is shown. Blocks that are followed by others are done and stay as they are; only the
// last one is made anew, or grows at its end, so that a long answer costs no more a frame than a short one. Text is read
// in pieces, and no block becomes so long that the page would stand still while it is made.

import { lastCut } from "../text/cut.js";
import { visibleText } from "../text/invisible.js";
import { outline, readBlocks, toHtml } from "../text/markdown.js";
import { sanitizeMarkdown } from "../text/sanitiser.js";
import { dressBlocks } from "./blocks.js";
import { drawInTurn } from "./frames.js";
import { growCode } from "./growing_code.js";
import { growItems } from "./growing_items.js";

const PIECE = 3_000; // characters that are read at once, beside those of the last block
const PIECE_OF_CODE = 60_000; // at most: the longer the code already is, the more, as it is read from its beginning
const LONGEST_BLOCK = 4_000; // characters; a longer one is cut
const LONGEST_GROWING = { code: Infinity, list: 16_000, table: 8_000 }; // which only grow at their ends

export class GrowingMarkdown {
  #element;
  #onDrawn;
  #source = "";
  #isLast = false; // it will not grow any more
  #drawn = 0; // characters of the source
  #settled = 0; // characters of the source whose blocks are done
  #tail = []; // the nodes of the last block, which may still grow
  #tailBlock = null;
  #grower = null; // what makes it grow without making it anew
  #lengths = []; // of the blocks that are done
  #isCut = false; // a block was too long
  #isChecked = false;
  #links = {}; // the definitions among the blocks
  #tableHead = ""; // of the table that was cut where the source goes on

  /** `onDrawn` is called when all of a text that will not grow any more is shown. */
  constructor(element, onDrawn = () => {}) {
    this.#element = element;
    this.#onDrawn = onDrawn;
  }

  /**
   * Shows the text, which begins with what was shown before; `isLast` says that it will not grow any more.
   * What takes longer than a frame has is shown in the next ones.
   */
  show(text, { isLast = false } = {}) {
    this.#source = visibleText(text.replaceAll("\r\n", "\n").replaceAll("\r", "\n"));
    this.#isLast = isLast;
    drawInTurn(this.#draw);
  }

  /** Forgets what was shown: another text begins. */
  reset() {
    this.#source = "";
    this.#isChecked = false;
    this.#links = {};
    this.#clear();
  }

  #clear() {
    this.#element.replaceChildren();
    this.#drawn = this.#settled = 0;
    this.#tail = [];
    this.#tailBlock = this.#grower = null;
    this.#lengths = [];
    this.#isCut = false;
    this.#tableHead = "";
  }

  #draw = () => {
    if (this.#drawn && !this.#element.isConnected) return true; // another conversation is shown
    this.#drawPiece();
    if (this.#drawn < this.#source.length) return false;
    if (!this.#isLast) return true;
    if (!this.#isAsIfAtOnce()) return false;
    this.#onDrawn();
    return true;
  };

  /** Whether the text looks as if it had come at once: else it is cleared, and its link definitions are known. */
  #isAsIfAtOnce() {
    const whole = this.#isChecked ? null : outline(this.#source);
    this.#isChecked = true;
    if (!whole) return true; // done already, or the text is too long
    const { blocks, links } = whole;
    const lengths = String(blocks.map((block) => block.raw.length));
    if (!Object.keys(links).length && (this.#isCut || lengths === String(this.#lengths))) return true;
    this.#links = links;
    this.#clear();
    return false;
  }

  #drawPiece() {
    this.#drawn = Math.min(this.#drawn + this.#pieceLength(), this.#source.length);
    const isWhole = this.#isLast && this.#drawn === this.#source.length;
    const { blocks } = this.#read(this.#drawn);
    const last = isWhole ? blocks.length : blocks.findLastIndex((block) => block.type !== "space");
    if (this.#grower?.grow(blocks[0], isWhole)) {
      if (last > 0) this.#settle(blocks, last, 1);
    } else {
      this.#dropTail();
      this.#settle(blocks, last, 0);
    }
    if (this.#tailBlock && this.#tailBlock.raw.length > longest(this.#tailBlock)) this.#cut();
  }

  #pieceLength() {
    if (!this.#tailBlock || longest(this.#tailBlock) < Infinity) return PIECE;
    return Math.min(Math.max(PIECE, this.#tailBlock.raw.length), PIECE_OF_CODE);
  }

  #read(end) {
    return readBlocks(this.#tableHead + this.#source.slice(this.#settled, end), this.#links);
  }

  #dropTail() {
    for (const node of this.#tail) node.remove();
  }

  /** Ends the last block though its source goes on; what follows begins another one. */
  #cut() {
    const block = this.#tailBlock;
    this.#dropTail();
    const { blocks } = this.#read(this.#settled + cutOf(block) - this.#tableHead.length);
    this.#settle(blocks, blocks.length, 0);
    this.#isCut = true;
    this.#drawn = this.#settled;
    const goesOn = block.type === "table" && this.#source.slice(this.#settled).split("\n", 1)[0].includes("|");
    this.#tableHead = goesOn ? block.raw.split("\n", 2).join("\n") + "\n" : "";
  }

  /** Shows the blocks from the `first` on, of which those before the `last` are done. */
  #settle(blocks, last, first) {
    this.#append(blocks.slice(first, last));
    for (const block of blocks.slice(0, last)) {
      this.#settled += block.raw.length - this.#tableHead.length;
      this.#tableHead = "";
      this.#lengths.push(block.raw.length);
      if (block.type === "def" || block.type === "note") this.#links[block.tag] ??= asLink(block);
    }
    this.#tail = this.#append(blocks.slice(last));
    this.#tailBlock = blocks[last] ?? null;
    const element = this.#tail.find((node) => node.nodeType === Node.ELEMENT_NODE);
    this.#grower = element ? (growCode(this.#tailBlock, element) ?? growItems(this.#tailBlock, element)) : null;
  }

  #append(blocks) {
    if (!blocks.length) return [];
    const fragment = sanitizeMarkdown(toHtml(blocks));
    dressBlocks(fragment);
    const nodes = [...fragment.childNodes];
    this.#element.append(fragment);
    return nodes;
  }
}

const asLink = (block) => (block.type === "note" ? { href: "", title: "", isNote: true } : block);

function longest({ type, codeBlockStyle }) {
  const isGrowing = codeBlockStyle !== "indented"; // such code changes at its end as it comes
  return (isGrowing && LONGEST_GROWING[type]) || LONGEST_BLOCK;
}

/** Where a block that is too long is cut: between items of a list, lines or words. */
function cutOf(block) {
  if (block.type !== "list") return lastCut(block.raw, 0, longest(block));
  let end = 0;
  for (const { raw } of block.items) {
    if (end + raw.length > longest(block)) break;
    end += raw.length;
  }
  return end || lastCut(block.raw, 0, longest(block));
}
