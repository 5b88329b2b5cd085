/** Connections that fail, with each WebSocket of Node: `error` events do not end the process. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";

import { clientOf, connected, stateOf, until } from "./support/clients.js";
import { realDelay, stopClock } from "./support/clock.js";
import { CHAT_ID, ScriptedBackend, missedMessage } from "./support/scripted-backend.js";
import { WEB_SOCKETS } from "./support/sockets.js";

// After 401, the WebSocket of Node 24 asks a second time by itself.
const REFUSAL = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/**
 * Return the URL of a port at which nothing listens.
 * @returns {Promise<string>}
 */
async function unusedUrl() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return `ws://127.0.0.1:${typeof address === "object" ? address?.port : ""}/prod`;
}

for (const [name, WebSocket] of WEB_SOCKETS) {
  test(`${name}: a refused connection is tried again`, async (t) => {
    const client = clientOf(t, await unusedUrl(), { WebSocket });
    client.connect();
    const { problem, retryAt = 0 } = await stateOf(client, "waiting");
    assert.equal(problem, "unreachable");
    assert.ok(retryAt > 0);
  });

  test(`${name}: a refused handshake is tried again until it is accepted`, async (t) => {
    const backend = await ScriptedBackend.start(t);
    backend.onHandshake = (number) => number === 1 ? REFUSAL : "";
    const client = clientOf(t, backend.url, { WebSocket });
    client.connect();
    assert.equal((await stateOf(client, "waiting")).problem, "unreachable");
    await stateOf(client, "connected");
    assert.equal(backend.handshakes.length, 2);
  });

  test(`${name}: an answer that is not HTTP counts as unreachable`, async (t) => {
    const backend = await ScriptedBackend.start(t);
    backend.onHandshake = () => "220 mail.example.com ESMTP\r\n\r\n";
    const client = clientOf(t, backend.url, { WebSocket });
    client.connect();
    assert.equal((await stateOf(client, "waiting")).problem, "unreachable");
  });

  test(`${name}: disconnect while connecting goes offline`, async (t) => {
    const backend = await ScriptedBackend.start(t);
    backend.onHandshake = () => null;
    const client = clientOf(t, backend.url, { WebSocket });
    client.connect();
    await until(() => backend.handshakes.length === 1);
    client.disconnect();
    for (let count = 0; count < 10; count += 1) await realDelay(); // for what the socket emits late
    assert.equal(client.state.name, "offline");
  });

  test(`${name}: a broken connection is replaced, and asks what it missed`, async (t) => {
    const backend = await ScriptedBackend.start(t);
    const client = await connected(clientOf(t, backend.url, { WebSocket }));
    /** @type {string[]} */
    const texts = [];
    client.addEventListener("message", ({ detail }) => texts.push(detail.text ?? ""));
    backend.onConnect = () => [
      { type: "messages", messages: [missedMessage(7)] }, { type: "synced", until: 8 },
    ];
    backend.cutConnections();
    assert.equal((await stateOf(client, "waiting")).problem, "lost");
    const { ack } = client.send({ chatId: CHAT_ID, text: "Written in between" });
    await stateOf(client, "connected");
    assert.equal((await ack).timestamp, 5);
    assert.deepEqual(texts, ["at 7"]);
    assert.equal(backend.handshakes[1].get("since"), "1");
  });
}

test("backoff between attempts is between half of its maximum and the maximum", async (t) => {
  const backend = await ScriptedBackend.start(t);
  backend.onHandshake = () => REFUSAL;
  const clock = stopClock(t);
  const client = clientOf(t, backend.url);
  /** @type {number[]} */
  const delays = [];
  client.addEventListener("state", ({ detail: { name, retryAt = 0 } }) => {
    if (name === "waiting") delays.push(retryAt - Date.now());
  });
  client.connect();
  while (delays.length < 8) await clock.run(1);
  for (const [failures, delay] of delays.entries()) {
    const maximum = Math.min(30_000, 1000 * 2 ** failures);
    assert.ok(delay >= maximum / 2 && delay <= maximum, `${delay} ms after ${failures} failures`);
  }
});

test("without a WebSocket the client says so", async (t) => {
  const global = Object.getOwnPropertyDescriptor(globalThis, "WebSocket");
  Object.defineProperty(globalThis, "WebSocket", { value: undefined, configurable: true });
  t.after(() => Object.defineProperty(globalThis, "WebSocket", global ?? { configurable: true }));
  const client = clientOf(t, "ws://127.0.0.1/prod", { WebSocket: undefined });
  client.connect();
  assert.equal((await stateOf(client, "offline")).error?.code, "no_websocket");
});
