// The chats under way: in this tab, in others, and of conversations that are deleted.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

globalThis.document = { baseURI: "http://gateway.test/", documentElement: { lang: "en" } };

const { Chats } = await import("../../../static/chat/chats.js");
const { addQuestion, newConversation } = await import("../../../static/chat/conversation.js");
const { Disk } = await import("../../../static/chat/disk.js");
const { Library } = await import("../../../static/chat/library.js");
const { Air } = await import("./air.js");
const { MemoryDatabase } = await import("./memory_database.js");

const START = {
  type: "start",
  provider: "gpt",
  model: "luna",
  fallback: null,
  conversation_id: "g-1",
  request_id: "r-1",
};
const END = { type: "end", provider: "gpt", model: "luna", fallback: null, finish_reason: "stop" };
const delta = (content) => ({ type: "delta", delta: { content } });
const error = (code) => ({ type: "error", error: { code } });

/** The streams that were asked for; a test writes into them. */
let asked = [];

class Stream {
  constructor(body, signal) {
    this.body = body;
    this.isClosed = false;
    const source = { start: (controller) => (this.controller = controller), cancel: () => (this.isClosed = true) };
    const content = new ReadableStream(source);
    signal.addEventListener("abort", () => {
      this.isClosed = true;
      this.controller.error(signal.reason);
    });
    this.response = new Response(content, { headers: { "content-type": "text/event-stream" } });
  }

  write(...events) {
    const frames = events.map((event) => `data: ${event === "[DONE]" ? event : JSON.stringify(event)}\n\n`);
    this.controller.enqueue(new TextEncoder().encode(frames.join("")));
  }

  end(...events) {
    this.write(...events);
    this.controller.close();
  }
}

beforeEach(() => {
  asked = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
  globalThis.fetch = async (_, { body, signal }) => {
    asked.push(new Stream(JSON.parse(body), signal));
    return asked.at(-1).response;
  };
});

class World {
  database = new MemoryDatabase();
  air = new Air();

  async open() {
    const tabs = this.air.open();
    const library = new Library({ disk: new Disk(this.database), tabs, onChange: () => {} });
    const chats = new Chats({ library, tabs, limits: () => null, onChange: () => {} });
    await library.start();
    return { library, chats };
  }
}

const begin = (count = 1) => {
  let conversation = newConversation({ id: "c-1", provider: "gpt", at: 1 });
  for (let number = 1; number <= count; number += 1) {
    conversation = addQuestion(conversation, { id: `q${number}`, text: `Question ${number}`, images: [], at: number });
  }
  return conversation;
};

/** Waits until this is true: streams and stores need some turns of the loop. */
async function until(isTrue) {
  for (let turn = 0; turn < 1_000; turn += 1) {
    if (isTrue()) return;
    mock.timers.tick(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.fail(`not in time: ${isTrue}`);
}

const answerOf = ({ library }) => Object.values(library.get("c-1")?.nodes ?? {}).find(({ kind }) => kind === "answer");

test("an answer is whole when its stream says so", async () => {
  const tab = await new World().open();
  tab.library.add(begin());
  const over = tab.chats.ask("c-1", "q1", { provider: "gpt" });
  assert.ok(tab.chats.isRunning("c-1"));
  await until(() => asked.length);
  asked[0].end(START, delta("Hel"), delta("lo"), END, "[DONE]");
  const node = await over;
  assert.deepEqual([node.state, node.text, node.id], ["whole", "Hello", answerOf(tab).id]);
  assert.equal(tab.library.get("c-1").conversationId, "g-1");
  assert.ok(!tab.chats.isRunning("c-1"));
});

test("an answer whose stream ends before its mark is cut, even after its last event", async () => {
  const tab = await new World().open();
  tab.library.add(begin());
  const over = tab.chats.ask("c-1", "q1", { provider: "gpt" });
  await until(() => asked.length);
  asked[0].end(START, delta("Hello"), END);
  assert.equal((await over).state, "cut");
});

test("a stopped answer keeps what came", async () => {
  const tab = await new World().open();
  tab.library.add(begin());
  const over = tab.chats.ask("c-1", "q1", { provider: "gpt" });
  await until(() => asked.length);
  asked[0].write(START, delta("Once"));
  await until(() => answerOf(tab).text === "Once");
  await tab.chats.stop("c-1");
  assert.deepEqual([(await over).state, answerOf(tab).text, asked[0].isClosed], ["stopped", "Once", true]);
});

test("a request that breaks as the page is left is cut, and later one that breaks has failed", async () => {
  for (const [pause, state] of [
    [100, "cut"],
    [5_000, "failed"],
  ]) {
    const tab = await new World().open();
    tab.library.add(begin());
    let breakDown;
    globalThis.fetch = () => new Promise((_, reject) => (breakDown = reject));
    const over = tab.chats.ask("c-1", "q1", { provider: "gpt" });
    tab.chats.prepareToLeave();
    mock.timers.tick(pause);
    breakDown(new TypeError("NetworkError when attempting to fetch resource."));
    assert.equal((await over).state, state);
  }
});

test("what is too much is asked for again with less, until it is taken", async () => {
  const tab = await new World().open();
  tab.library.add(begin(5));
  const over = tab.chats.ask("c-1", "q5", { provider: "gpt" });
  for (const index of [0, 1]) {
    await until(() => asked.length > index);
    asked[index].end(error("context_length_exceeded"));
  }
  await until(() => asked.length > 2);
  asked[2].end(START, delta("At last"), END, "[DONE]");
  assert.equal((await over).text, "At last");
  assert.deepEqual(
    asked.map(({ body }) => body.messages.length),
    [5, 3, 2],
  );
});

test("what no request can carry fails once for each half", async () => {
  const tab = await new World().open();
  tab.library.add(begin(3));
  const over = tab.chats.ask("c-1", "q3", { provider: "gpt" });
  for (const index of [0, 1, 2]) {
    await until(() => asked.length > index);
    asked[index].end(error("context_length_exceeded"));
  }
  assert.equal((await over).error.code, "context_length_exceeded");
  assert.equal(asked.length, 3);
});

test("the chat of a conversation that was deleted in another tab ends", async () => {
  const world = new World();
  const tab = await world.open();
  tab.library.add(begin());
  const over = tab.chats.ask("c-1", "q1", { provider: "gpt" });
  await tab.library.save();
  const other = await world.open();
  other.library.remove(["c-1"]);
  await other.library.save();
  await world.air.deliver();
  await until(() => asked.length);
  asked[0].write(START, delta("Late"));
  await over;
  assert.ok(asked[0].isClosed);
  assert.equal(tab.library.get("c-1"), undefined);
});

test("another tab shows an answer as it grows, and can stop it", async () => {
  const world = new World();
  const tab = await world.open();
  tab.library.add(begin());
  const over = tab.chats.ask("c-1", "q1", { provider: "gpt" });
  await tab.library.save();
  const other = await world.open();
  await world.air.deliver();
  assert.ok(other.chats.isRunning("c-1"));
  await other.library.load("c-1");
  other.chats.watch("c-1");
  await world.air.deliver();
  await until(() => asked.length);
  asked[0].write(START, delta("Once"));
  await until(() => answerOf(tab).text === "Once");
  mock.timers.tick(1_000);
  await world.air.deliver();
  assert.equal(answerOf(other).text, "Once");
  assert.ok(other.chats.isReceived("c-1", answerOf(other).id));
  await other.chats.stop("c-1");
  await world.air.deliver();
  await over;
  await world.air.deliver();
  assert.deepEqual([answerOf(other).state, other.chats.isRunning("c-1")], ["stopped", false]);
});

test("an answer is taken to be left when its tab says goodbye, or does not reply any more", async () => {
  for (const saysGoodbye of [true, false]) {
    const world = new World();
    const tab = await world.open();
    tab.library.add(begin());
    tab.chats.ask("c-1", "q1", { provider: "gpt" });
    await tab.library.save();
    const other = await world.open();
    await world.air.deliver();
    await world.air.deliver();
    for (let round = 0; round < 10; round += 1) {
      mock.timers.tick(5_000);
      await world.air.deliver();
      await world.air.deliver();
    }
    assert.ok(other.chats.isRunning("c-1"), "a tab that replies is there, however long nothing comes");
    if (saysGoodbye) tab.chats.leave();
    world.air.close(0, { delivers: saysGoodbye });
    await world.air.deliver();
    mock.timers.tick(saysGoodbye ? 0 : 20_000);
    assert.ok(!other.chats.isRunning("c-1"));
  }
});
