// The instructions that are kept under a name, in tabs that share a database, which may fail at any moment.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Disk } from "../../../static/chat/disk.js";
import { Presets } from "../../../static/chat/presets.js";
import { MemoryDatabase } from "./memory_database.js";

const names = async (presets) => (await presets.list()).map(({ name }) => name);

test("what another tab has removed does not come back", async () => {
  const database = new MemoryDatabase();
  const [one, other] = [new Presets(new Disk(database)), new Presets(new Disk(database))];
  await one.save({ id: "p1", name: "Brief", text: "Be brief." });
  assert.deepEqual(await names(other), ["Brief"]);
  await other.remove("p1");
  assert.deepEqual(await names(one), []);
});

for (const kind of ["failed", "full", "silent", "unavailable", "blocked"]) {
  test(`what a storage that is ${kind} does not keep is there until the page is left`, async () => {
    const database = new MemoryDatabase();
    const presets = new Presets(new Disk(database));
    database.failWhen(() => ({ kind }));
    assert.equal(await presets.save({ id: "p1", name: "Brief", text: "Be brief." }), false);
    assert.deepEqual(await names(presets), ["Brief"]);
    database.failWhen(() => null);
    assert.deepEqual(await names(presets), ["Brief"]);
    await presets.remove("p1");
    assert.deepEqual(await names(presets), []);
  });

  test(`what was kept is still known when the storage is ${kind}`, async () => {
    const database = new MemoryDatabase();
    const presets = new Presets(new Disk(database));
    assert.equal(await presets.save({ id: "p1", name: "Brief", text: "Be brief." }), true);
    database.failWhen(() => ({ kind }));
    assert.deepEqual(await names(presets), ["Brief"]);
  });
}
