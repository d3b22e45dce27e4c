// `eventsource-parser` over `fetch`: what someone writes who uses no SDK, for each door.

import { createParser } from "eventsource-parser";
import { createRequire } from "node:module";
import { Left, serve } from "./jobs.mjs";

const require = createRequire(import.meta.url);
const MAX_TOKENS = 2000;

class HttpError extends Error {
  constructor(response, text) {
    super(text);
    this.status = response.status;
    this.headers = response.headers;
  }
}

async function* readEvents(job, path, body, controller) {
  const response = await fetch(`${job.base_url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${job.api_key}`, ...job.headers },
    body: JSON.stringify(body),
    signal: controller.signal,
  });
  if (!response.ok) throw new HttpError(response, await response.text());
  const events = [];
  const parser = createParser({ onEvent: (event) => events.push(event), onError: (error) => { throw error; } });
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    parser.feed(text);
    while (events.length) yield events.shift();
  }
}

function read(path, makeBody, note) {
  return async (job, seen) => {
    const controller = new AbortController();
    let isEnded = false;
    for await (const event of readEvents(job, path(job), makeBody(job), controller)) {
      isEnded ||= event.data === "[DONE]";
      if (event.data !== "[DONE]") isEnded = note(JSON.parse(event.data), seen, event) || isEnded;
      if (job.leaves && seen.text) {
        controller.abort();
        throw new Left();
      }
    }
    if (!isEnded) throw new Error("the stream was cut");
  };
}

const messages = (job) => [{ role: "user", content: job.question }];

const chatBody = (job) => ({
  model: job.model,
  messages: messages(job),
  stream: true,
  stream_options: { include_usage: true },
});

function noteChat(chunk, seen) {
  if (chunk.error) throw fail(chunk.error);
  seen.model = chunk.model;
  seen.count(chunk.usage?.prompt_tokens, chunk.usage?.completion_tokens);
  for (const { delta, finish_reason } of chunk.choices) {
    seen.text += delta.content ?? "";
    seen.refusal += delta.refusal ?? "";
    seen.finish = finish_reason ?? seen.finish;
  }
}

const responsesBody = (job) => ({ model: job.model, input: job.question, stream: true, store: false });

function noteResponses(event, seen) {
  if (event.type === "error") throw fail(event.error ?? event);
  if (event.type === "response.output_text.delta") seen.text += event.delta;
  if (event.type === "response.refusal.delta") seen.refusal += event.delta;
  if (!["response.completed", "response.incomplete"].includes(event.type)) return false;
  const { response } = event;
  seen.model = response.model;
  seen.finish = response.incomplete_details?.reason ?? response.status;
  seen.count(response.usage?.input_tokens, response.usage?.output_tokens);
  return true;
}

const messagesBody = (job) => ({
  model: job.model,
  max_tokens: MAX_TOKENS,
  messages: messages(job),
  stream: true,
});

function noteMessages(event, seen, { event: name }) {
  if (name !== event.type) throw new Error(`the event ${event.type} is called ${name}`);
  if (event.type === "error") throw fail(event.error);
  if (event.type === "message_start") seen.model = event.message.model;
  seen.text += event.delta?.text ?? "";
  if (event.type === "message_delta") {
    seen.finish = event.delta.stop_reason;
    seen.count(event.usage.input_tokens, event.usage.output_tokens);
  }
  return event.type === "message_stop";
}

const uiBody = (job) => ({
  id: "chat-1",
  trigger: "submit-message",
  messages: [{ id: "message-1", role: "user", parts: [{ type: "text", text: job.question }] }],
});

function noteUi(chunk, seen) {
  if (chunk.type === "error") throw new Error(chunk.errorText);
  if (chunk.type === "text-delta") seen.text += chunk.delta;
  const facts = chunk.messageMetadata?.gateway ?? {};
  seen.model = facts.model ?? seen.model;
  seen.finish = facts.finish_reason ?? seen.finish;
  seen.count(facts.usage?.input_tokens, facts.usage?.output_tokens);
  return chunk.type === "finish";
}

function fail({ message, code, type }) {
  return Object.assign(new Error(message), { code: code ?? type });
}

await serve(
  {
    chat: read(() => "/v1/chat/completions", chatBody, noteChat),
    responses: read(() => "/v1/responses", responsesBody, noteResponses),
    messages: read(() => "/v1/messages", messagesBody, noteMessages),
    ui: read((job) => `/ui/chat/${job.provider}`, uiBody, noteUi),
  },
  { "eventsource-parser": require("eventsource-parser/package.json").version },
);
