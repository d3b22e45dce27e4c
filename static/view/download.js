// Gives the reader a file: its text, or pieces of it.

import { make } from "./elements.js";

export function download(name, pieces, type = "text/markdown") {
  const url = URL.createObjectURL(new Blob([pieces].flat(), { type }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000); // when the browser has begun to read it
}

/** A title as a file's name. */
export const fileName = (title) =>
  `${title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "") || "conversation"}.md`;
