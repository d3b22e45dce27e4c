// Which conversation the page's address names: `#/c/` and its id. Other fragments, such as those of links to a part of
// the page, name none and change none.

import { isId } from "./chat/ids.js";

const ROUTE = "#/c/";

/** The id in the address; "" if it names a new chat, null if it is about something else. */
export function readAddress() {
  const { hash } = location;
  if (hash.startsWith(ROUTE)) return hash.slice(ROUTE.length);
  if (isId(hash.slice(1))) return hash.slice(1); // as earlier versions of the page wrote it
  return hash ? null : "";
}

/** Names the conversation in the address; one that has not begun has no id. Back leads to what was named before. */
export function writeAddress(id, { replaces = false } = {}) {
  if (readAddress() === id) return;
  const address = id ? `${ROUTE}${id}` : location.pathname + location.search;
  if (replaces) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
}

/** `onMove(id)` is called when the reader has gone to another address. */
export function listenForMoves(onMove) {
  addEventListener("popstate", () => {
    const id = readAddress();
    if (id !== null) onMove(id);
  });
}
