/** A process that slept finds out soon whether its connection is dead. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { clientOf, connected, stateOf, until } from "./support/clients.js";
import { stopClock } from "./support/clock.js";
import { ScriptedBackend } from "./support/scripted-backend.js";

test("a connection that died during sleep is replaced within 20 seconds", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const clock = stopClock(t);
  const client = await connected(clientOf(t, backend.url));
  await clock.run(10); // the catch-up after the handshake is over
  backend.onFrame = () => [];
  clock.sleep(3600);
  await clock.run(20);
  await until(() => backend.handshakes.length === 2);
  await stateOf(client, "connected");
});

test("a connection that died during sleep while a catch-up was asked for is replaced", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const clock = stopClock(t);
  await connected(clientOf(t, backend.url));
  backend.onFrame = () => [];
  await clock.run(6); // it is asked for after five seconds
  assert.equal(backend.frames.length, 1);
  clock.sleep(3600);
  await clock.run(20);
  await until(() => backend.handshakes.length === 2);
});

test("a connection that survived sleep is kept", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const clock = stopClock(t);
  const client = await connected(clientOf(t, backend.url));
  let answers = 0;
  client.addEventListener("synced", () => {
    answers += 1;
  });
  await clock.run(5); // then it asks what it missed while it connected
  await until(() => answers === 1);
  await clock.run(5);
  clock.sleep(3600);
  await clock.run(10);
  await until(() => answers === 2);
  await clock.run(60);
  assert.equal(client.state.name, "connected");
  assert.equal(backend.handshakes.length, 1);
  assert.deepEqual(backend.frames.map(({ action }) => action), ["getmessages", "getmessages"]);
});

test("a client that waits to reconnect does it after sleep", async (t) => {
  const backend = await ScriptedBackend.start(t);
  backend.onHandshake = (number) => number < 8 ? "HTTP/1.1 503 Busy\r\n\r\n" : "";
  const clock = stopClock(t);
  const client = clientOf(t, backend.url);
  client.connect();
  while (backend.handshakes.length < 7) await clock.run(1);
  const { retryAt = 0 } = await stateOf(client, "waiting");
  assert.ok(retryAt - Date.now() > 11_000);
  clock.sleep(100);
  await clock.run(11);
  await stateOf(client, "connected");
});

test("an attempt to connect that was under way before sleep is replaced", async (t) => {
  const backend = await ScriptedBackend.start(t);
  backend.onHandshake = (number) => number === 1 ? null : "";
  const clock = stopClock(t);
  const client = clientOf(t, backend.url);
  client.connect();
  await clock.run(1);
  assert.equal(client.state.name, "connecting");
  clock.sleep(100);
  await clock.run(11);
  await stateOf(client, "connected");
});
