/** `send` returns a promise of the ack with its item. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { clientOf, connected, outcomeOf, until } from "./support/clients.js";
import { realDelay } from "./support/clock.js";
import { CHAT_ID, ScriptedBackend, errorFrame } from "./support/scripted-backend.js";

test("the promise of an ack is resolved with it", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const client = clientOf(t, backend.url);
  const item = client.send({ chatId: CHAT_ID, text: "Hello!" }); // before there is a connection
  client.connect();
  const { messageId, timestamp, delivered } = await item.ack;
  assert.deepEqual([messageId, timestamp, delivered], [`id of ${item.clientMessageId}`, 5, 1]);
});

test("the promise of a refused message's ack is rejected, and retry makes a new one", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const client = await connected(clientOf(t, backend.url));
  backend.onFrame = (frame) => [errorFrame(frame, "forbidden")];
  const item = client.send({ chatId: CHAT_ID, text: "Hello!" });
  assert.equal(await outcomeOf(item.ack), "forbidden");
  backend.onFrame = (frame) => backend.answer(frame);
  const again = client.retry(item.clientMessageId);
  assert.equal(again, item);
  assert.equal((await item.ack).timestamp, 5);
  assert.equal(client.retry(item.clientMessageId), undefined);
});

test("the promise of a discarded message's ack is rejected", async (t) => {
  const client = clientOf(t, "ws://127.0.0.1/prod");
  const { ack, clientMessageId } = client.send({ chatId: CHAT_ID, text: "Hello!" });
  client.retry(clientMessageId); // it is still queued, so the promise stays
  client.discard(clientMessageId);
  assert.equal(await outcomeOf(ack), "discarded");
});

test("a refused message whose promise nobody uses does not end the process", async (t) => {
  const backend = await ScriptedBackend.start(t);
  backend.onFrame = (frame) => [errorFrame(frame, "forbidden")];
  const client = await connected(clientOf(t, backend.url));
  const item = client.send({ chatId: CHAT_ID, text: "Hello!" });
  await until(() => item.status === "refused");
  await realDelay();
});

test("the promise of an ack is not stored with the item", (t) => {
  const item = clientOf(t, "ws://127.0.0.1/prod").send({ chatId: CHAT_ID, text: "Hello!" });
  assert.ok(item.ack instanceof Promise);
  assert.equal(Object.hasOwn(structuredClone(item), "ack"), false);
  assert.equal(Object.hasOwn(JSON.parse(JSON.stringify(item)), "ack"), false);
});
