// Text files that are attached to a question: they become part of it, between fences, where they can be seen and changed.

const MOST_BYTES = 1_000_000; // a message's limit of characters is far below
const LANGUAGES = {
  c: "c",
  cpp: "cpp",
  css: "css",
  go: "go",
  h: "c",
  html: "html",
  ini: "ini",
  java: "java",
  js: "js",
  json: "json",
  jsx: "jsx",
  md: "markdown",
  py: "python",
  rs: "rust",
  sh: "bash",
  sql: "sql",
  toml: "toml",
  ts: "ts",
  tsx: "tsx",
  xml: "xml",
  yaml: "yaml",
  yml: "yaml",
};

/** Resolves to the file as a part of a question; null if it is no text, or far too long. */
export async function readTextFile(file) {
  if (file.size > MOST_BYTES) return null;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    return text.includes("\0") ? null : fence(file.name, text.replaceAll("\r\n", "\n"));
  } catch {
    return null; // other bytes than those of a text, or a file that cannot be read
  }
}

/** The text between fences that are longer than any in it. */
function fence(name, text) {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  const marks = "`".repeat(longest + 1);
  const language = LANGUAGES[name.split(".").at(-1).toLowerCase()] ?? "";
  return `${name}\n\n${marks}${language}\n${text.replace(/\n$/, "")}\n${marks}`;
}
