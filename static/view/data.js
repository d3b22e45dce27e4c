// The part of the settings about all conversations: out as a file, in from one, and away.

import { announce } from "./announcer.js";
import { find } from "./elements.js";

/** `keeping` is what does it; see keeping.js. */
export function startData(keeping) {
  const files = find("import-file");
  const note = find("data-note");
  const say = (words) => {
    note.textContent = words;
    announce(words);
  };
  find("export-json").addEventListener("click", () => keeping.exportJson());
  find("export-markdown").addEventListener("click", () => keeping.exportMarkdown());
  find("import").addEventListener("click", () => files.click());
  files.addEventListener("change", async () => {
    const [file] = files.files;
    if (file) say(await keeping.import(file));
    files.value = ""; // the same file may be chosen again
  });
  find("delete-all").addEventListener("click", () => {
    find("settings").close();
    keeping.removeAll();
  });
}
