// Reads one chat's answer from the gateway, an event at a time, as `POST /chat/{provider}` sends it.

/**
 * Yields the stream's events. The last is `end`, `error`, or, where the stream was cut, `{type: "cut"}`.
 */
export async function* streamChat(provider, body, signal) {
  const response = await fetch(`/chat/${provider}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  if (!response.ok) {
    yield { type: "error", ...(await response.json()) };
    return;
  }
  let last = null;
  for await (const data of readFrames(response.body)) {
    if (data === "[DONE]") return; // only this proves that the answer is whole
    last = JSON.parse(data);
    yield last;
  }
  if (last?.type !== "error") yield { type: "cut" };
}

/** Yields the data of each frame, however the network cut the bytes. */
async function* readFrames(stream) {
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true }); // a character may be cut in two
    const frames = rest.split("\n\n");
    rest = frames.pop(); // and so may a frame
    for (const frame of frames) {
      if (frame.startsWith("data: ")) yield frame.slice(6);
    }
  }
}
