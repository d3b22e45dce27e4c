// What is wrong with the browser's storage, and what the gateway would not take, in words.

import { megabytes, say } from "../words.js";
import { make } from "./elements.js";

const describeStorage = ({ kind, cause }) => say(`storage.${kind}`, { cause: cause?.name ?? "" });

/** Says what keeps conversations from being kept. `isListed` is whether the list of conversations could be read. */
export function showStorage(place, problem, isListed) {
  place.hidden = !problem;
  if (!problem) return;
  place.textContent = [describeStorage(problem), isListed ? "" : say("storage.unlisted")].filter(Boolean).join(" ");
}

/** Why a conversation is not shown: it is being read, or it cannot be read. */
export function openingNotice({ state, problem }, retry) {
  if (state === "loading") return make("p", { class: "hint", role: "status" }, say("open.loading"));
  const button = make("button", { type: "button", onclick: retry }, say("answer.retry"));
  const words = [say("open.unreadable"), describeStorage(problem)].join(" ");
  return make("div", { class: "problem" }, make("div", {}, make("p", { role: "alert" }, words), make("div", { class: "row" }, button)));
}

/** Why the gateway would refuse a question; see `findRefusal`. */
export function describeRefusal({ limit, seen, most, words = limit }) {
  if (limit === "max_file_bytes" && most === 0) return say("refused.files");
  const isBytes = limit.endsWith("_bytes");
  const amount = isBytes ? megabytes : (count) => count;
  return say(`refused.${words}`, { seen: amount(seen), most: amount(most) });
}
