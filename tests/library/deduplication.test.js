/** Each message once; how many ids are remembered is bounded. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { clientOf, connected, until } from "./support/clients.js";
import { ScriptedBackend, missedMessage, syncedFrame } from "./support/scripted-backend.js";

const MAX_SEEN = 10_000;

test("the last 10,000 messages are remembered, and no more", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const client = clientOf(t, backend.url);
  /** @type {number[]} */
  const received = [];
  client.addEventListener("message", ({ detail }) => received.push(detail.timestamp));
  const messages = Array.from({ length: MAX_SEEN + 1 }, (_, timestamp) => missedMessage(timestamp));
  backend.onConnect = () => [
    { type: "messages", messages },
    { type: "messages", messages: [missedMessage(MAX_SEEN), missedMessage(1)] }, // again
    syncedFrame(1),
  ];
  await connected(client);
  assert.equal(received.length, MAX_SEEN + 1);
  backend.push({ type: "messages", messages: [missedMessage(0), missedMessage(2)] });
  await until(() => received.length > MAX_SEEN + 1);
  assert.deepEqual(received.slice(MAX_SEEN + 1), [0]);
});

test("the last 10,000 of the ids in `seen` count", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const seen = Array.from({ length: MAX_SEEN + 1 }, (_, timestamp) => `m${timestamp}`);
  const client = clientOf(t, backend.url, { seen });
  /** @type {number[]} */
  const received = [];
  client.addEventListener("message", ({ detail }) => received.push(detail.timestamp));
  backend.onConnect = () => [
    { type: "messages", messages: [missedMessage(MAX_SEEN), missedMessage(1), missedMessage(0)] },
    syncedFrame(1),
  ];
  await connected(client);
  assert.deepEqual(received, [0]);
});
