// The instructions of a conversation, which the model gets before it, and those that the reader keeps for others.

import { announce } from "./announcer.js";
import { settle, showDialog } from "./dialogs.js";
import { make } from "./elements.js";
import { say } from "../words.js";

/** Shows the dialog. Resolves to the instructions, null if they stay as they were. */
export async function askInstructions(text, presets) {
  const area = make("textarea", { rows: 8, "aria-label": say("instructions"), dir: "auto" });
  const list = make("ul", { class: "presets" });
  const name = make("input", { "aria-label": say("instructions.name"), placeholder: say("instructions.name"), dir: "auto" });
  const keep = make("button", { type: "button" }, say("instructions.keep"));
  const cancel = make("button", { type: "button" }, say("dialog.cancel"));
  const form = make(
    "form",
    { method: "dialog" },
    make("h2", { id: "instructions-title" }, say("instructions")),
    make("p", {}, say("instructions.note")),
    area,
    list,
    make("div", { class: "row" }, name, keep),
    make("div", { class: "row" }, cancel, make("button", { class: "primary" }, say("dialog.save"))),
  );
  const dialog = make("dialog", { class: "instructions", "aria-labelledby": "instructions-title" }, form);
  area.value = text;
  const showList = async () => list.replaceChildren(...(await presets.list()).map(row));
  const row = (preset) => {
    const use = make("button", { type: "button", dir: "auto", title: preset.text }, preset.name);
    const drop = make("button", { type: "button", class: "quiet" }, say("instructions.drop"));
    use.addEventListener("click", () => {
      area.value = preset.text;
      area.focus();
    });
    drop.addEventListener("click", async () => {
      await presets.remove(preset.id);
      await showList();
      name.focus();
    });
    drop.setAttribute("aria-label", say("instructions.drop.label", { name: preset.name }));
    return make("li", {}, use, drop);
  };
  keep.addEventListener("click", async () => {
    if (!area.value.trim() || !name.value.trim()) return name.focus();
    const isKept = await presets.save({ name: name.value.trim(), text: area.value });
    announce(say(isKept ? "instructions.kept" : "instructions.unkept"));
    name.value = "";
    await showList();
  });
  cancel.addEventListener("click", () => dialog.close());
  await showList();
  showDialog(dialog);
  area.focus();
  return settle(dialog, () => area.value.trim());
}
