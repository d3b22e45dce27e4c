// Light or dark: as the system has it, until the reader chooses.

import { choices } from "../chat/kept.js";
import { announce } from "./announcer.js";
import { find } from "./elements.js";
import { say } from "../words.js";

const THEME = "theme";
const root = document.documentElement;

export function startTheme() {
  root.dataset.theme = choices.get(THEME) ?? "system";
  find("theme").addEventListener("click", () => choose(isDark() ? "light" : "dark"));
}

const isDark = () =>
  root.dataset.theme === "system" ? matchMedia("(prefers-color-scheme: dark)").matches : root.dataset.theme === "dark";

function choose(theme) {
  root.dataset.theme = theme;
  choices.set(THEME, theme);
  announce(say(`theme.chosen.${theme}`));
}
