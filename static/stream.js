// Reads one chat's answer from the gateway, an event at a time, as `POST /chat/{provider}` sends it.

/**
 * Yields the stream's events. The last is `end`, `error`, or, where the stream broke off, `{type: "cut"}`.
 *
 * `signal` is of an AbortController: aborting it ends the vendor's stream, too, and raises an AbortError here.
 * A TypeError says that the gateway cannot be reached.
 */
export async function* streamChat(url, body, { signal, headers } = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
    signal,
  });
  if (!response.ok) {
    yield { type: "error", error: await readError(response) };
    return;
  }
  let last = null;
  for await (const data of readFrames(response.body, signal)) {
    if (data === "[DONE]") return; // only this proves that the answer is whole
    last = JSON.parse(data);
    yield last;
  }
  if (last?.type !== "error") yield { type: "cut" };
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

/** The gateway's error; of a proxy's own page, what its status says. */
async function readError(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error;
  } catch {
    return { code: `http_${response.status}`, message: `The server answered ${response.status}.`, request_id: null };
  }
}
