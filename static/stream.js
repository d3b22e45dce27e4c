// Reads one chat's answer from the gateway, an event at a time, as `POST /chat/{provider}` sends it.

/**
 * Yields the stream's events. The last is `end`, `error`, or, where the stream broke off, `{type: "cut"}`.
 * What answers in the gateway's place, a proxy or a sign-in page, is an `error` with the code `foreign` or `redirected`.
 *
 * `signal` is of an AbortController: aborting it ends the vendor's stream, too, and raises an AbortError here.
 * A TypeError says that the gateway cannot be reached.
 */
export async function* streamChat(url, body, { signal, headers } = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
    redirect: "manual", // the gateway redirects no chat: what does wants a person to sign in
    signal,
  });
  if (!isStream(response)) {
    yield { type: "error", error: await readError(response) };
    return;
  }
  let last = null;
  for await (const data of readFrames(response.body, signal)) {
    if (data === "[DONE]") return; // only this proves that the answer is whole
    last = parse(data);
    if (!last) break; // these are no events of the gateway
    yield last;
  }
  if (last?.type !== "error") yield { type: "cut" };
}

const isStream = ({ ok, headers }) => ok && (headers.get("content-type") ?? "").startsWith("text/event-stream");

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Yields the data of each frame, however the network cut the bytes. */
async function* readFrames(stream, signal) {
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true })); // a broken connection is an end
      signal?.throwIfAborted();
      if (done) return;
      rest += decoder.decode(value, { stream: true }); // a character may be cut in two
      const frames = rest.split("\n\n");
      rest = frames.pop(); // and so may a frame
      for (const frame of frames) {
        if (frame.startsWith("data: ")) yield frame.slice(6);
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // closes the connection if the caller stops reading
  }
}

/** The gateway's error; of another's answer, what is known of it. */
async function readError(response) {
  const { type, status, headers } = response;
  if (type === "opaqueredirect") return { code: "redirected", retryable: false };
  const body = parse(await response.text());
  if (typeof body?.error?.code === "string") return body.error;
  const wait = Number(headers.get("retry-after") ?? NaN);
  const message = [body?.message, body?.error].find((each) => typeof each === "string") ?? null;
  const retryable = [408, 425, 429].includes(status) || status >= 500;
  return { code: "foreign", status, message, retryable, retry_after: wait > 0 ? Math.ceil(wait) : null };
}
