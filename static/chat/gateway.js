// The gateway as the page sees it: its providers, its chats, and the key that it may ask for.

import { streamChat } from "../stream.js";
import { session } from "./kept.js";

const KEY = "gateway-key"; // in the session's storage: gone with the tab

export const gatewayKey = () => session.get(KEY) ?? "";

export const keepGatewayKey = (key) => session.set(KEY, key);

/** Relative to the page, which a proxy may serve under a prefix. */
export const chatUrl = (provider) => new URL(`chat/${encodeURIComponent(provider)}`, document.baseURI).href;

/** Yields the events of one chat; see stream.js. */
export function chat(provider, body, signal) {
  const key = gatewayKey();
  return streamChat(chatUrl(provider), body, { signal, headers: key ? { Authorization: `Bearer ${key}` } : {} });
}

/** Whether the gateway is in demo mode, and its configured providers with their states; null: it is not reached. */
export async function askHealth() {
  const health = await askJson("health");
  if (!health) return null;
  const configured = Object.entries(health.providers).filter(([, state]) => state !== "NOT_CONFIGURED");
  return { demo: health.demo, providers: configured.map(([name, state]) => ({ name, state })) };
}

/** What one provider's models are and how it is; null where that is not known. */
export const askProvider = (name) => askJson(`health/${encodeURIComponent(name)}`);

async function askJson(path) {
  try {
    return await (await fetch(path)).json();
  } catch {
    return null;
  }
}
