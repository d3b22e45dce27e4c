// Names of things that this browser makes.

/** An id that no other tab makes; ids that are made later are greater. */
export function makeId() {
  const random = crypto.getRandomValues(new Uint32Array(2));
  return `${Date.now().toString(36)}-${[...random].map((number) => number.toString(36)).join("")}`;
}

/** The ids of conversations, also those of earlier versions of the page. */
export const isId = (text) => /^[0-9a-z]+-[0-9a-z]+$/.test(text);
