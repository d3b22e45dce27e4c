// The AI SDK, version 5, 6 or 7: its providers with `streamText` and `generateText`, and what `useChat` stands on.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import * as ai from "ai";
import { createRequire } from "node:module";
import { Left, runTool, serve } from "./jobs.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const require = createRequire(import.meta.url);
const PACKAGES = ["ai", "@ai-sdk/openai", "@ai-sdk/openai-compatible", "@ai-sdk/anthropic"];
const MOST_STEPS = 5;

const PROVIDERS = {
  compatible(job) {
    const options = { name: "gateway", includeUsage: true, supportsStructuredOutputs: true };
    return createOpenAICompatible({ ...options, ...connect(job) })(job.model);
  },
  openai: (job) => createOpenAI(connect(job)).chat(job.model),
  responses: (job) => createOpenAI(connect(job))(job.model),
  anthropic: (job) => createAnthropic(connect(job))(job.model),
};

function connect(job) {
  return { baseURL: `${job.base_url}/v1`, apiKey: job.api_key, headers: job.headers };
}

function makeOptions(job, model) {
  const content = [{ type: "text", text: job.question }];
  if (job.image) content.push({ type: "file", mediaType: "image/png", data: job.image });
  const options = { model, messages: [{ role: "user", content }] };
  if (job.tools.length) options.tools = Object.fromEntries(job.tools.map((tool) => [tool.name, makeTool(job, tool)]));
  if (job.calls_back) options.stopWhen = ai.stepCountIs(MOST_STEPS);
  if (job.schema) {
    const object = (ai.Output ?? {}).object({ schema: ai.jsonSchema(job.schema) });
    // in version 5 it has another name
    Object.assign(options, { output: object, experimental_output: object });
  }
  return options;
}

function makeTool(job, { name, description, parameters }) {
  const execute = job.calls_back ? async () => runTool(job, name) : undefined;
  return ai.tool({ description, inputSchema: ai.jsonSchema(parameters), execute });
}

function noteStep(step, seen) {
  seen.model = step.response?.modelId ?? seen.model;
  seen.finish = step.finishReason;
  seen.count(step.usage?.inputTokens, step.usage?.outputTokens);
}

function stream(provide) {
  return async (job, seen) => {
    const controller = new AbortController();
    const options = makeOptions(job, provide(job));
    const result = ai.streamText({ ...options, abortSignal: controller.signal, onError: () => {} });
    let failure = null;
    for await (const part of result.fullStream) {
      if (part.type === "text-delta") seen.text += part.text;
      if (part.type === "reasoning-delta") seen.reasoning += part.text;
      if (part.type === "tool-call") seen.call(part.toolName, part.input);
      if (part.type === "start-step") seen.text = "";
      if (part.type === "finish-step") noteStep(part, seen);
      if (part.type === "error") failure ??= part.error;
      if (job.leaves && seen.text) {
        controller.abort();
        throw new Left();
      }
    }
    if (failure) throw failure;
    if (job.schema) seen.value = JSON.parse(seen.text);
  };
}

function generate(provide) {
  return async (job, seen) => {
    const result = await ai.generateText(makeOptions(job, provide(job)));
    seen.text = result.text;
    seen.reasoning = result.reasoningText ?? "";
    for (const step of result.steps) {
      for (const call of step.toolCalls) seen.call(call.toolName, call.input);
      noteStep(step, seen);
    }
    if (job.schema) seen.value = result.output ?? result.experimental_output;
  };
}

// What `useChat` does: its transport asks, its reader builds the message, and a page adds what its tools return.
async function useChat(job, seen) {
  const body = job.tools.length ? { tools: job.tools.map(describeTool) } : {};
  const headers = { authorization: `Bearer ${job.api_key}`, ...job.headers };
  const transport = new ai.DefaultChatTransport({ api: `${job.base_url}/ui/chat/${job.provider}`, headers, body });
  const parts = [{ type: "text", text: job.question }];
  if (job.image) parts.push({ type: "file", mediaType: "image/png", url: `data:image/png;base64,${job.image}` });
  const messages = [{ id: "message-1", role: "user", parts }];
  const answer = await readAnswer(transport, messages, undefined, job, seen);
  const calls = answer.parts.filter((part) => part.type === "dynamic-tool" || part.type.startsWith("tool-"));
  if (!job.calls_back || !calls.length) return;
  for (const part of calls) Object.assign(part, { state: "output-available", output: runTool(job, nameOf(part)) });
  await readAnswer(transport, [...messages, answer], answer, job, seen);
}

function describeTool({ name, description, parameters }) {
  return { type: "function", function: { name, description, parameters } };
}

async function readAnswer(transport, messages, begun, job, seen) {
  const controller = new AbortController();
  const asked = { chatId: "chat-1", trigger: "submit-message", messageId: undefined, messages };
  const stream = await transport.sendMessages({ ...asked, abortSignal: controller.signal });
  let failure = null;
  const onError = (error) => (failure ??= error);
  let newest = null;
  for await (newest of ai.readUIMessageStream({ message: begun, stream, onError, terminateOnError: true })) {
    noteMessage(newest, seen);
    if (job.leaves && seen.text) {
      controller.abort();
      throw new Left();
    }
  }
  if (failure) throw failure;
  return newest;
}

function nameOf(part) {
  return part.toolName ?? part.type.slice("tool-".length);
}

function noteMessage({ parts, metadata }, seen) {
  const textOf = (type) => parts.map((part) => (part.type === type ? part.text : "")).join("");
  seen.text = textOf("text");
  seen.reasoning = textOf("reasoning");
  seen.calls = [];
  for (const part of parts) {
    if (part.type === "dynamic-tool" || part.type.startsWith("tool-")) seen.call(nameOf(part), part.input);
  }
  const facts = metadata?.gateway ?? {};
  seen.model = facts.model ?? seen.model;
  seen.finish = facts.finish_reason ?? seen.finish;
  seen.count(facts.usage?.input_tokens, facts.usage?.output_tokens);
}

const ways = { useChat };
for (const [name, provide] of Object.entries(PROVIDERS)) {
  ways[`${name}.stream`] = stream(provide);
  ways[`${name}.generate`] = generate(provide);
}
await serve(ways, Object.fromEntries(PACKAGES.map((name) => [name, require(`${name}/package.json`).version])));
