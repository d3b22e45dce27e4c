// What the places to write in have in common.

const TALLEST = 0.4; // of the window

/** Makes the area as tall as its text. */
export function fitHeight(area) {
  area.style.height = "auto";
  area.style.height = `${Math.min(area.scrollHeight + 2, innerHeight * TALLEST)}px`;
}

/**
 * Whether the key belongs to an input method, as the Enter that ends its word does. Safari ends the word first, and says
 * so by the key's code alone.
 */
export const isOfInputMethod = ({ isComposing, keyCode }) => isComposing || keyCode === 229;

/** Enter sends, Shift+Enter is a new line; Enter that ends a word of an input method does neither. */
export function submitsOnEnter(area, form) {
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || isOfInputMethod(event)) return;
    event.preventDefault();
    form.requestSubmit();
  });
}
