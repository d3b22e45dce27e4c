// What the blocks of an answer get beside what Markdown says: code its heading, tables their frame, footnotes their ways.

import { say } from "../words.js";
import { dressCodeBlocks } from "./code_blocks.js";
import { make } from "./elements.js";
import { setMath } from "./math.js";

/** Dresses all blocks within the element, which is not in the page yet. */
export function dressBlocks(root) {
  dressCodeBlocks(root);
  for (const table of root.querySelectorAll("table")) frame(table);
  for (const mark of root.querySelectorAll(".note-mark")) linkMark(mark);
  setMath(root);
}

/** A wide table scrolls within its frame, by keyboard too. */
function frame(table) {
  const place = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": say("table") });
  table.replaceWith(place);
  place.append(table);
}

/** The mark in the text leads to its note, and the note back. */
function linkMark(mark) {
  const label = mark.textContent;
  const onclick = () => {
    const notes = [...mark.closest(".markdown").querySelectorAll(".note-text")];
    const note = notes.find((each) => each.firstElementChild.textContent === label);
    if (!note) return;
    note.tabIndex = -1;
    note.scrollIntoView({ block: "nearest" });
    note.focus({ preventScroll: true });
  };
  mark.replaceChildren(make("button", { type: "button", "aria-label": say("note", { label }), onclick }, label));
}
