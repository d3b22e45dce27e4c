// Light or dark: as the system has it, until the reader chooses; early.js sets what was chosen before.

import { choices } from "../chat/kept.js";

const THEME = "theme";
const root = document.documentElement;

/** The reader's choice: `system`, `light` or `dark`. */
export const theme = () => root.dataset.theme;

export function chooseTheme(chosen) {
  root.dataset.theme = chosen;
  choices.set(THEME, chosen);
}
