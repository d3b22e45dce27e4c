// The gateway as the page sees it: its providers, its chats, and the key that it may ask for.

import { streamChat } from "../stream.js";
import { session } from "./kept.js";

const KEY = "gateway-key"; // in the session's storage: gone with the tab

export const gatewayKey = () => session.get(KEY) ?? "";

export const keepGatewayKey = (key) => session.set(KEY, key);

/** Relative to the page, which a proxy may serve under a prefix. */
export const chatUrl = (provider) => new URL(`chat/${encodeURIComponent(provider)}`, document.baseURI).href;

/**
 * Yields the events of one chat; see stream.js. The key has a header of its own: where a proxy asks for a name and a
 * password, the browser puts these into `Authorization`. A key that no header can carry is none of the gateway's.
 */
export async function* chat(provider, body, signal) {
  const key = gatewayKey();
  if (/[^\t -~\x80-\xff]/.test(key)) yield { type: "error", error: { code: "unauthorized", retryable: false } };
  else yield* streamChat(chatUrl(provider), body, { signal, headers: key ? { "X-API-Key": key } : {} });
}

/**
 * The limits of a request, and the configured providers with their models and states; else the `problem`: the gateway
 * is `unreachable`, or the answer is not its own (`foreign`).
 */
export async function askConfig() {
  const config = await askJson("ui/config");
  return config.problem || Array.isArray(config.providers) ? config : { problem: "foreign" };
}

async function askJson(path) {
  let response;
  try {
    response = await fetch(path, { redirect: "manual" });
  } catch {
    return { problem: "unreachable" };
  }
  try {
    return (await response.json()) ?? { problem: "foreign" };
  } catch {
    return { problem: "foreign" };
  }
}
