// Takes characters out of a text that a reader cannot see, but a terminal, a compiler or the order of the text obeys.

const EMOJI = "\\p{Extended_Pictographic}(?:\\uFE0F|\\p{Emoji_Modifier})?";
const EMOJI_SEQUENCE = `${EMOJI}(?:\\u200D${EMOJI})*`;
const FILLERS = "\\u034F\\u115F\\u1160\\u17B4\\u17B5\\u2800\\u3164\\uFFA0";
const VARIANTS = "\\u180B-\\u180F\\uFE00-\\uFE0F\\u{E0100}-\\u{E01EF}";

// Kept are line feed and tab, and what scripts are written with: joiners and marks of direction, which end with a word.
const IN_PROSE = /[^\P{Cc}\t\n]|[\u00AD\u180E\u200B\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB\u115F\u1160\u3164\uFFA0\u{E0000}-\u{E007F}\u{E0100}-\u{E01EF}]/gu;
const IN_CODE = new RegExp(`(${EMOJI_SEQUENCE})|[^\\P{Cc}\\t\\n]|[\\p{Cf}\\u2028\\u2029${FILLERS}${VARIANTS}]`, "gu");
const FENCE = /^(?:[ \t>]|[*+-][ \t]|\d{1,9}[.)][ \t])*(`{3,}(?=[^`]*$)|~{3,})(.*)/; // in a list or a quotation, too
const CODE_SPAN = /(?<!`)(`+)[^`\n]+\1(?!`)/g;

/** The text without control characters, overrides of its direction, and characters without width. */
export const visibleText = (text) => text.replace(IN_PROSE, "");

/** The same of code, in which no character may be unseen; emoji stay whole. */
export const visibleCode = (code) => code.replace(IN_CODE, "$1");

/** The same of Markdown's source: what is code in it, between fences or within a line, has no unseen character. */
export function visibleMarkdown(source) {
  let opening = ""; // of the code whose lines these are
  const showLine = (line) => {
    const [, fence, rest] = FENCE.exec(line) ?? [];
    const isCode = Boolean(opening || fence);
    if (!opening) opening = fence ?? "";
    else if (fence?.startsWith(opening) && !rest.trim()) opening = "";
    return isCode ? visibleCode(line) : line.replace(CODE_SPAN, visibleCode);
  };
  return visibleText(source).split("\n").map(showLine).join("\n");
}
