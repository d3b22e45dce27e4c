// The conversations of tabs that share a database, which may fail at any moment.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { newAnswer } from "../../../static/chat/answer.js";
import {
  addAnswer,
  addQuestion,
  changeAnswer,
  newConversation,
  shownTurns,
} from "../../../static/chat/conversation.js";
import { Disk } from "../../../static/chat/disk.js";
import { Library, UNDO_MILLISECONDS } from "../../../static/chat/library.js";
import { Air } from "./air.js";
import { MemoryDatabase } from "./memory_database.js";

const KINDS = ["failed", "full", "silent", "unavailable", "blocked"];
const IMAGE = { mediaType: "image/png", data: "QUJD", name: "dot.png" };

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
});

let clock = 0;
const next = () => (clock += 1);

class World {
  database = new MemoryDatabase();
  air = new Air();

  async open() {
    const library = new Library({ disk: new Disk(this.database), tabs: this.air.open(), onChange: () => {} });
    await library.start();
    return library;
  }

  /** What a tab that is opened now finds. */
  async stored(id) {
    const found = await (await this.open()).load(id);
    return found && content(found);
  }
}

const content = ({ nodes, title, isPinned, systemPrompt }) => ({
  nodes: Object.fromEntries(
    Object.entries(nodes).map(([id, node]) => [id, { text: node.text, images: node.images, state: node.state }]),
  ),
  title,
  isPinned,
  systemPrompt,
});
const begin = (id = "c-1") =>
  addQuestion(newConversation({ id, provider: "gpt", at: next() }), {
    id: "q1",
    text: "One?",
    images: [IMAGE],
    at: next(),
  });
const ask = (id) => (conversation) => addQuestion(conversation, { id, text: `${id}?`, images: [], at: next() });
const reply =
  (question, id, owner = "t-0") =>
  (conversation) =>
    addAnswer(conversation, question, { id, owner, answer: newAnswer("gpt"), at: next() });
const grow =
  (id, text, state = "streaming") =>
  (conversation) =>
    changeAnswer(conversation, id, { text, state });

async function settle(world, ...libraries) {
  for (let round = 0; round < 3; round += 1) {
    await Promise.all(libraries.map((library) => library.save()));
    await world.air.deliver();
  }
}

test("what was added and changed is there for the next tab, with its images", async () => {
  const world = new World();
  const library = await world.open();
  library.add(begin());
  library.change("c-1", reply("q1", "a1"));
  library.change("c-1", grow("a1", "Once"), { isUrgent: false });
  library.change("c-1", grow("a1", "Once upon", "whole"));
  await library.save();
  assert.deepEqual(await world.stored("c-1"), content(library.get("c-1")));
  assert.deepEqual(
    (await world.open()).list().map(({ title }) => title),
    ["One?"],
  );
});

test("two tabs that write to one conversation erase nothing, whichever is first", async () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const world = new World();
    const tabs = [await world.open(), await world.open()];
    tabs[0].add(begin());
    tabs[0].change("c-1", reply("q1", "a1"));
    await settle(world, tabs[0]);
    await tabs[1].load("c-1");
    for (const tab of order) tabs[tab].change("c-1", ask(`from-${tab}`));
    for (const tab of order) await tabs[tab].save();
    await settle(world, ...tabs);
    assert.deepEqual(Object.keys((await world.stored("c-1")).nodes).sort(), ["a1", "from-0", "from-1", "q1"]);
    assert.deepEqual(content(tabs[0].get("c-1")).nodes, content(tabs[1].get("c-1")).nodes);
  }
});

test("what a tab does not know, its own writing does not touch", async () => {
  const world = new World();
  const [one, other] = [await world.open(), await world.open()];
  one.add(begin());
  await settle(world, one);
  await other.load("c-1");
  one.change("c-1", (known) => ({ ...known, title: "Named" }));
  await one.save(); // the other has not heard of it
  other.change("c-1", (known) => ({ ...known, isPinned: true }));
  await other.save();
  const stored = await world.stored("c-1");
  assert.deepEqual([stored.title, stored.isPinned], ["Named", true]);
});

test("a whole answer is not overwritten by a stale copy of it", async () => {
  for (const isHeard of [true, false]) {
    const world = new World();
    const owner = await world.open();
    owner.add(begin());
    owner.change("c-1", reply("q1", "a1"));
    owner.change("c-1", grow("a1", "Once"));
    await owner.save();
    const other = await world.open();
    await other.load("c-1"); // it has the answer as it was half way
    owner.change("c-1", grow("a1", "Once upon a time", "whole"));
    await owner.save();
    if (isHeard) await world.air.deliver();
    other.change("c-1", ask("q2"));
    await settle(world, other, owner);
    assert.equal((await world.stored("c-1")).nodes.a1.text, "Once upon a time");
    assert.equal(other.get("c-1").nodes.a1.state, "whole");
  }
});

test("a deleted conversation does not come back, whichever tab still writes to it", async () => {
  for (const isHeard of [true, false]) {
    const world = new World();
    const [one, other] = [await world.open(), await world.open()];
    one.add(begin());
    one.change("c-1", reply("q1", "a1"));
    await settle(world, one);
    await other.load("c-1");
    one.remove(["c-1"]);
    await one.save();
    if (isHeard) await world.air.deliver();
    other.change("c-1", grow("a1", "late words"));
    await settle(world, other, one);
    assert.equal(await world.stored("c-1"), null);
    assert.deepEqual([one.list(), other.list(), other.get("c-1")], [[], [], undefined]);
  }
});

test("what was deleted can be restored for a while, then nothing of it is left", async () => {
  const world = new World();
  const library = await world.open();
  library.add(begin());
  await library.save();
  const before = await world.stored("c-1");
  library.remove(["c-1"]);
  await library.save();
  library.restore(["c-1"]);
  await library.save();
  mock.timers.tick(UNDO_MILLISECONDS);
  await library.save();
  assert.deepEqual(await world.stored("c-1"), before);
  library.remove(["c-1"]);
  await library.save();
  mock.timers.tick(UNDO_MILLISECONDS);
  await world.open(); // whose reading comes after the purge
  assert.deepEqual([world.database.stores.nodes.size, world.database.stores.images.size], [0, 0]);
  library.restore(["c-1"]);
  await library.save();
  assert.equal(await world.stored("c-1"), null);
});

test("what a closed tab had deleted is removed by the next one", async () => {
  const world = new World();
  const library = await world.open();
  library.add(begin());
  library.remove(["c-1"]);
  await library.save();
  mock.timers.setTime(1_000_000 + 2 * UNDO_MILLISECONDS);
  world.database.runs = 0;
  await world.open();
  await world.open();
  assert.equal(world.database.stores.nodes.size, 0);
});

test("a conversation that the browser has dropped is written again as a whole", async () => {
  const world = new World();
  const library = await world.open();
  library.add(begin());
  library.change("c-1", reply("q1", "a1"));
  await library.save();
  world.database.stores = new MemoryDatabase().stores; // the site's data were cleared
  library.change("c-1", ask("q2"));
  await library.save();
  assert.deepEqual(await world.stored("c-1"), content(library.get("c-1")));
});

/** All that one tab can do with a conversation, a step at a time. */
const STORY = [
  (library) => library.add(begin()),
  (library) => library.change("c-1", reply("q1", "a1")),
  (library) => library.change("c-1", grow("a1", "Once")),
  (library) => library.change("c-1", grow("a1", "Once upon", "whole")),
  (library) => library.change("c-1", (known) => ({ ...known, title: "Named" })),
  (library) => library.change("c-1", ask("q2")),
];

for (const kind of KINDS) {
  for (const isDone of [false, true]) {
    test(`storage that is ${kind} at any moment${isDone ? ", after it has written," : ""} costs nothing but storage`, async () => {
      for (let from = 0; from < STORY.length + 1; from += 1) {
        for (let until = from + 1; until < STORY.length + 3; until += 1) {
          const world = new World();
          world.database.failWhen((run) => (run >= from && run < until ? { kind, isDone } : null));
          const library = await world.open();
          for (const step of STORY) {
            step(library);
            await library.save();
          }
          assert.equal(shownTurns(library.get("c-1")).length, 2);
          world.database.failWhen(() => null);
          mock.timers.tick(60_000);
          await library.save();
          assert.equal(library.problem, null);
          assert.deepEqual(await world.stored("c-1"), content(library.get("c-1")));
        }
      }
    });
  }
}

test("what is wrong with the storage is said, and no longer said when it is over", async () => {
  const world = new World();
  const seen = [];
  const library = new Library({
    disk: new Disk(world.database),
    tabs: world.air.open(),
    onChange: () => seen.push(library.problem?.kind ?? null),
  });
  world.database.failWhen(() => ({ kind: "full" }));
  library.add(begin());
  await library.save();
  assert.equal(seen.at(-1), "full");
  world.database.failWhen(() => null);
  mock.timers.tick(2_000); // nothing that the reader does is needed
  await library.save();
  assert.equal(seen.at(-1), null);
  assert.ok(await world.stored("c-1"));
});

test("a list that could not be read is read later", async () => {
  const world = new World();
  const first = await world.open();
  first.add(begin());
  await first.save();
  world.database.failWhen(() => ({ kind: "silent" }));
  const library = await world.open();
  assert.deepEqual([library.list(), library.isListed, library.problem.kind], [[], false, "silent"]);
  world.database.failWhen(() => null);
  mock.timers.tick(2_000);
  await library.start();
  assert.deepEqual(
    library.list().map(({ id }) => id),
    ["c-1"],
  );
});

test("a conversation that cannot be read is not taken for one that is not there", async () => {
  const world = new World();
  const library = await world.open();
  world.database.failWhen(() => ({ kind: "failed" }));
  await assert.rejects(library.load("c-1"), { kind: "failed" });
  world.database.failWhen(() => null);
  assert.equal(await library.load("c-1"), null);
});
