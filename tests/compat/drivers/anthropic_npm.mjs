// npm's `@anthropic-ai/sdk`: raw events, `messages.stream()`, and not streamed.

import Anthropic from "@anthropic-ai/sdk";
import { VERSION } from "@anthropic-ai/sdk/version";
import { Left, runTool, serve } from "./jobs.mjs";

const MAX_TOKENS = 2000;

function connect(job) {
  return new Anthropic({ baseURL: job.base_url, apiKey: job.api_key, defaultHeaders: job.headers });
}

function makeBody(job) {
  const content = [{ type: "text", text: job.question }];
  if (job.image) {
    content.push({ type: "image", source: { type: "base64", media_type: "image/png", data: job.image } });
  }
  const body = { model: job.model, max_tokens: MAX_TOKENS, messages: [{ role: "user", content }] };
  if (job.tools.length) {
    body.tools = job.tools.map(({ name, description, parameters }) => ({
      name,
      description,
      input_schema: parameters,
    }));
  }
  if (job.schema) body.output_config = { format: { type: "json_schema", schema: job.schema } };
  return body;
}

function noteMessage(message, seen) {
  seen.text = message.content.map((block) => (block.type === "text" ? block.text : "")).join("");
  seen.finish = message.stop_reason;
  seen.model = message.model;
  seen.count(message.usage.input_tokens, message.usage.output_tokens);
  return noteBlocks(message.content, seen);
}

function noteBlocks(blocks, seen) {
  let hasCalls = false;
  for (const block of blocks) {
    if (block.type === "tool_use") seen.call(block.name, block.input);
    hasCalls ||= block.type === "tool_use";
    if (block.type === "thinking") seen.reasoning += block.thinking;
  }
  return hasCalls ? blocks : [];
}

function answerCalls(job, blocks) {
  const calls = blocks.filter((block) => block.type === "tool_use");
  const content = calls.map(({ id, name }) => ({
    type: "tool_result",
    tool_use_id: id,
    content: runTool(job, name),
  }));
  return [
    { role: "assistant", content: blocks },
    { role: "user", content },
  ];
}

function messages(ask) {
  return async (job, seen) => {
    const client = connect(job);
    const body = makeBody(job);
    const blocks = await ask(client, body, job, seen);
    if (job.calls_back && blocks.length) {
      body.messages.push(...answerCalls(job, blocks));
      seen.text = "";
      await ask(client, body, job, seen);
    }
  };
}

async function gatherEvents(client, body, job, seen) {
  const blocks = [];
  let isStopped = false;
  const stream = await client.messages.create({ ...body, stream: true });
  for await (const event of stream) {
    if (event.type === "message_start") seen.model = event.message.model;
    if (event.type === "content_block_start") blocks.push({ ...event.content_block, json: "" });
    if (event.type === "content_block_delta") {
      addDelta(blocks[event.index], event.delta, seen);
      if (job.leaves && seen.text) {
        stream.controller.abort();
        throw new Left();
      }
    }
    if (event.type === "message_delta") {
      seen.finish = event.delta.stop_reason;
      seen.count(event.usage.input_tokens, event.usage.output_tokens);
    }
    isStopped ||= event.type === "message_stop";
  }
  if (!isStopped) throw new Error("the stream ended without message_stop");
  const whole = blocks.map(({ json, ...block }) =>
    block.type === "tool_use" ? { ...block, input: JSON.parse(json) } : block,
  );
  return noteBlocks(whole, seen);
}

function addDelta(block, delta, seen) {
  if (delta.type === "text_delta") {
    block.text += delta.text;
    seen.text += delta.text;
  }
  if (delta.type === "input_json_delta") block.json += delta.partial_json;
  if (delta.type === "thinking_delta") block.thinking += delta.thinking;
  if (delta.type === "signature_delta") block.signature = delta.signature;
}

async function streamMessage(client, body, job, seen) {
  const stream = client.messages.stream(body);
  for await (const event of stream) {
    seen.text += event.delta?.text ?? "";
    if (job.leaves && seen.text) {
      stream.abort();
      throw new Left();
    }
  }
  return noteMessage(await stream.finalMessage(), seen);
}

async function createMessage(client, body, job, seen) {
  return noteMessage(await client.messages.create(body), seen);
}

await serve(
  { raw: messages(gatherEvents), stream: messages(streamMessage), create: messages(createMessage) },
  { "@anthropic-ai/sdk": VERSION },
);
