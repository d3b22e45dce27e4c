// A long code block that is still being written: lines are put at its end. It gets its colours when it is done.

import { visibleCode } from "../text/invisible.js";

const LONG = 2000; // characters; shorter ones are made anew, in colours, as any other block

/** What makes the element of this block grow; null where the block is short, or no code. */
export function growCode(block, element) {
  if (block?.type !== "code" || block.text.length <= LONG) return null;
  const code = element.querySelector("code");
  let shown = visibleCode(block.text);
  code.textContent = shown;
  return {
    /** Shows the block, which has grown; false where it is done, or is no longer what it was. */
    grow(longer, isLast) {
      if (isLast || longer?.type !== "code" || isClosed(longer)) return false;
      const text = visibleCode(longer.text);
      if (!text.startsWith(shown)) return false;
      code.append(text.slice(shown.length));
      shown = text;
      return true;
    },
  };
}

const isClosed = ({ raw }) => /\n {0,3}(?:`{3,}|~{3,})\s*$/.test(raw);
