// The title of a conversation: words, without the marks of Markdown.

const TITLE_CHARACTERS = 60;
const READ_CHARACTERS = 2_000; // of a text; its title is at its beginning

/** A title from the text of a question, "" if it has no words. */
export function makeTitle(text) {
  const lines = text.slice(0, READ_CHARACTERS).split("\n").map(plainText);
  const line = lines.find((each) => /[\p{L}\p{N}]/u.test(each)) ?? lines.find(Boolean) ?? "";
  return shorten(line);
}

/** A title as a model wrote it: it may come in quotes, with a label or a full stop. */
export function readTitle(answer) {
  const line = plainText(answer.trim().split("\n", 1)[0]).replace(/^(?:title|titel):\s*/i, "");
  const title = line.replace(/^["'“„«](.*)["'”“»]$/u, "$1").replace(/(?<!\.)\.$/, "");
  return shorten(title.replace(/\*\*|`/g, "").trim()); // marks that have no counterpart
}

function shorten(line) {
  const characters = [...line];
  return characters.length > TITLE_CHARACTERS ? `${characters.slice(0, TITLE_CHARACTERS).join("").trimEnd()}…` : line;
}

/** One line of Markdown as text. */
export function plainText(line) {
  return line
    .replace(/^\s*(?:#{1,6}\s+|>\s?|[-*+]\s+|\d{1,9}[.)]\s+|```+\S*|~~~+\S*)+/, "")
    .replace(/!?\[([^\]]{0,500})\]\([^)]{0,2000}\)/g, "$1")
    .replace(/(\*\*|__|~~)(?=\S)(.{1,500}?)(?<=\S)\1/g, "$2")
    .replace(/^\*\*(?=\S)/, "") // its end is in another line, or far away
    .replace(/(?<![\p{L}\p{N}*_])([*_])(?=\S)([^*_]{1,500})(?<=\S)\1(?![\p{L}\p{N}*_])/gu, "$2")
    .replace(/(`+)(?!`)(.{1,500}?)(?<!`)\1(?!`)/g, "$2")
    .replace(/\s+/g, " ")
    .trim();
}
