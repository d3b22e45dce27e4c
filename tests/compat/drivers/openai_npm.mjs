// npm's `openai`: chat completions and Responses, each raw, with its helper, and not streamed.

import OpenAI from "openai";
import { VERSION } from "openai/version";
import { Left, runTool, serve } from "./jobs.mjs";

function connect(job) {
  return new OpenAI({ baseURL: `${job.base_url}/v1`, apiKey: job.api_key, defaultHeaders: job.headers });
}

// --- chat completions ---------------------------------------------------------------------------------

function chatBody(job) {
  const url = `data:image/png;base64,${job.image}`;
  const parts = [
    { type: "text", text: job.question },
    { type: "image_url", image_url: { url } },
  ];
  const body = { model: job.model, messages: [{ role: "user", content: job.image ? parts : job.question }] };
  if (job.tools.length) {
    body.tools = job.tools.map(({ name, description, parameters }) => ({
      type: "function",
      function: { name, description, parameters },
    }));
  }
  if (job.schema) {
    const json_schema = { name: "city", schema: job.schema, strict: true };
    body.response_format = { type: "json_schema", json_schema };
  }
  return body;
}

function noteChat(completion, seen) {
  const { message, finish_reason } = completion.choices[0];
  seen.text = message.content ?? "";
  seen.refusal = message.refusal ?? "";
  seen.finish = finish_reason;
  seen.model = completion.model;
  seen.count(completion.usage?.prompt_tokens, completion.usage?.completion_tokens);
  for (const call of message.tool_calls ?? []) seen.call(call.function.name, call.function.arguments);
  return message;
}

function answerChat(job, message) {
  const results = message.tool_calls.map(({ id, function: { name } }) => ({
    role: "tool",
    tool_call_id: id,
    content: runTool(job, name),
  }));
  return [message, ...results];
}

function chat(ask) {
  return async (job, seen) => {
    const client = connect(job);
    const body = chatBody(job);
    const message = await ask(client, body, job, seen);
    if (job.calls_back && message.tool_calls?.length) {
      body.messages.push(...answerChat(job, message));
      seen.text = "";
      await ask(client, body, job, seen);
    }
  };
}

const WITH_USAGE = { stream: true, stream_options: { include_usage: true } };

async function gatherChunks(client, body, job, seen) {
  const calls = [];
  const stream = await client.chat.completions.create({ ...body, ...WITH_USAGE });
  for await (const chunk of stream) {
    seen.model = chunk.model;
    seen.count(chunk.usage?.prompt_tokens, chunk.usage?.completion_tokens);
    for (const { delta, finish_reason } of chunk.choices) {
      seen.text += delta.content ?? "";
      seen.refusal += delta.refusal ?? "";
      seen.reasoning += delta.reasoning_content ?? "";
      seen.finish = finish_reason ?? seen.finish;
      for (const piece of delta.tool_calls ?? []) {
        const { index, id } = piece;
        calls[index] ??= { id, type: "function", function: { name: piece.function.name, arguments: "" } };
        calls[index].function.arguments += piece.function.arguments ?? "";
      }
    }
    if (job.leaves && seen.text) {
      stream.controller.abort();
      throw new Left();
    }
  }
  for (const call of calls) seen.call(call.function.name, call.function.arguments);
  const message = { role: "assistant", content: seen.text || null };
  return calls.length ? { ...message, tool_calls: calls } : message;
}

async function streamChat(client, body, job, seen) {
  const stream = client.chat.completions.stream({ ...body, stream_options: { include_usage: true } });
  for await (const chunk of stream) {
    seen.text += chunk.choices[0]?.delta?.content ?? "";
    if (job.leaves && seen.text) {
      stream.abort();
      throw new Left();
    }
  }
  return noteChat(await stream.finalChatCompletion(), seen);
}

async function createChat(client, body, job, seen) {
  return noteChat(await client.chat.completions.create(body), seen);
}

// --- Responses ----------------------------------------------------------------------------------------

function responsesBody(job) {
  const content = [{ type: "input_text", text: job.question }];
  if (job.image) {
    content.push({ type: "input_image", detail: "auto", image_url: `data:image/png;base64,${job.image}` });
  }
  const body = { model: job.model, store: false, input: [{ role: "user", content }] };
  if (job.tools.length) {
    body.tools = job.tools.map(({ name, description, parameters }) => ({
      type: "function",
      name,
      description,
      parameters,
      strict: false,
    }));
  }
  if (job.schema) {
    body.text = { format: { type: "json_schema", name: "city", schema: job.schema, strict: true } };
  }
  return body;
}

function noteResponse(response, seen) {
  seen.text = response.output_text;
  seen.finish = response.incomplete_details?.reason ?? response.status;
  seen.model = response.model;
  seen.count(response.usage?.input_tokens, response.usage?.output_tokens);
  let hasCalls = false;
  for (const item of response.output) {
    if (item.type === "function_call") seen.call(item.name, item.arguments);
    hasCalls ||= item.type === "function_call";
    for (const part of item.content ?? []) seen.refusal += part.refusal ?? "";
    for (const part of item.summary ?? []) seen.reasoning += part.text;
  }
  if (response.status === "failed") throw new Error(`${response.error?.code}: ${response.error?.message}`);
  return hasCalls ? response.output : [];
}

function answerResponses(job, items) {
  const calls = items.filter((item) => item.type === "function_call");
  const results = calls.map(({ call_id, name }) => ({
    type: "function_call_output",
    call_id,
    output: runTool(job, name),
  }));
  return [...items, ...results];
}

function responses(ask) {
  return async (job, seen) => {
    const client = connect(job);
    const body = responsesBody(job);
    const items = await ask(client, body, job, seen);
    if (job.calls_back && items.length) {
      body.input.push(...answerResponses(job, items));
      seen.text = "";
      await ask(client, body, job, seen);
    }
  };
}

async function gatherEvents(client, body, job, seen) {
  let last = null;
  const stream = await client.responses.create({ ...body, stream: true });
  for await (const event of stream) {
    last = event.type;
    if (event.type === "response.output_text.delta") {
      seen.text += event.delta;
      if (job.leaves) {
        stream.controller.abort();
        throw new Left();
      }
    } else if (event.type === "error") {
      throw Object.assign(new Error(event.message), { code: event.code });
    } else if (["response.completed", "response.incomplete", "response.failed"].includes(event.type)) {
      const output_text = seen.text; // the property of a whole answer is the SDK's own
      return noteResponse({ ...event.response, output_text }, seen);
    }
  }
  throw new Error(`the stream ended with ${last}`);
}

async function streamResponse(client, body, job, seen) {
  const stream = client.responses.stream(body);
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") {
      seen.text += event.delta;
      if (job.leaves) {
        stream.abort();
        throw new Left();
      }
    }
  }
  return noteResponse(await stream.finalResponse(), seen);
}

async function createResponse(client, body, job, seen) {
  return noteResponse(await client.responses.create(body), seen);
}

await serve(
  {
    "chat.raw": chat(gatherChunks),
    "chat.stream": chat(streamChat),
    "chat.create": chat(createChat),
    "responses.raw": responses(gatherEvents),
    "responses.stream": responses(streamResponse),
    "responses.create": responses(createResponse),
  },
  { openai: VERSION },
);
