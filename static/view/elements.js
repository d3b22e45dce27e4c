// Makes elements. Text is always text here: nothing is parsed.

const SVG = "http://www.w3.org/2000/svg";

/** An element with these attributes and children; `on…` are listeners, null and false are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** One of the page's icons, for the eye alone. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A button that shows an icon and says its label, as a tooltip too. */
export function iconButton(name, label, onclick, attributes = {}) {
  return make(
    "button",
    { type: "button", class: "quiet", "aria-label": label, title: label, onclick, ...attributes },
    icon(name),
  );
}

export const find = (id) => document.getElementById(id);

/** Whether a dialog or a menu is open, which the keys are for. */
export const isDialogOpen = () => document.querySelector("dialog[open], [popover]:popover-open") !== null;
