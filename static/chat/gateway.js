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
 * password, the browser puts these into `Authorization`.
 */
export function chat(provider, body, signal) {
  const key = gatewayKey();
  return streamChat(chatUrl(provider), body, { signal, headers: key ? { "X-API-Key": key } : {} });
}

/**
 * Whether the gateway is in demo mode, and its configured providers with their states; else the `problem`: it is
 * `unreachable`, or the answer is not its own (`foreign`).
 */
export async function askHealth() {
  const health = await askJson("health");
  if (health.problem) return health;
  if (typeof health.providers !== "object" || !health.providers) return { problem: "foreign" };
  const configured = Object.entries(health.providers).filter(([, state]) => state !== "NOT_CONFIGURED");
  return { demo: health.demo, providers: configured.map(([name, state]) => ({ name, state })) };
}

/** What one provider's models are and how it is. */
export const askProvider = (name) => askJson(`health/${encodeURIComponent(name)}`);

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
