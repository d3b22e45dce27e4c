// What the drivers in JavaScript share: jobs come as lines of JSON, and what a client saw goes back as a line.

import { createInterface } from "node:readline";

const SECONDS = 90; // a job that takes longer hangs

export class Left extends Error {} // no error: the client has left, as it was asked to

export class Seen {
  text = "";
  reasoning = "";
  refusal = "";
  calls = [];
  finish = null;
  input_tokens = null;
  output_tokens = null;
  model = null;
  value = null;
  error = null;

  call(name, input) {
    this.calls.push({ name, arguments: typeof input === "string" ? parse(input) : input });
  }

  count(input, output) {
    this.input_tokens = input ?? this.input_tokens;
    this.output_tokens = output ?? this.output_tokens;
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export function describe(error) {
  const texts = [];
  const found = { status: null, code: null, retry_after: null };
  for (let cause = error; cause && texts.length < 5; cause = cause.lastError ?? cause.cause ?? cause.error) {
    texts.push(cause.message ?? JSON.stringify(cause));
    const status = cause.status ?? cause.statusCode;
    found.status ??= typeof status === "number" ? status : null;
    found.code ??= typeof cause.code === "string" ? cause.code : null;
    found.retry_after ??= readHeader(cause.headers ?? cause.responseHeaders, "retry-after");
  }
  const name = error?.constructor?.name ?? typeof error;
  return { class: name, ...found, text: texts.join("\n").slice(0, 2000) };
}

function readHeader(headers, name) {
  return (typeof headers?.get === "function" ? headers.get(name) : headers?.[name]) ?? null;
}

async function run(way, job) {
  const seen = new Seen();
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the job hangs")), SECONDS * 1000);
  });
  try {
    await Promise.race([way(job, seen), late]);
  } catch (error) {
    if (!(error instanceof Left)) seen.error = describe(error);
  } finally {
    clearTimeout(timer);
  }
  return seen;
}

export function runTool(job, name) {
  return job.tools.find((tool) => tool.name === name).returns;
}

async function answer(ways, job) {
  write({ name: job.name, ...(await run(ways[job.way], job)) });
}

function write(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

// Prints the client's versions, then runs the jobs of the standard input, all at once.
export async function serve(ways, versions) {
  // A client whose stream breaks may reject a promise that its user does not look at.
  process.on("unhandledRejection", () => {});
  console.log = console.info = console.error; // a client may print
  write(versions);
  for await (const line of createInterface({ input: process.stdin })) answer(ways, JSON.parse(line));
  process.exit(0); // the input ends when all jobs are answered
}
