/** Every request settles, and leaves no listener behind. */

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";

import { ChatError } from "../../page/protocol.js";
import { clientOf, connected, outcomeOf, until } from "./support/clients.js";
import { stopClock } from "./support/clock.js";
import { CHAT_ID, ScriptedBackend, errorFrame } from "./support/scripted-backend.js";

/** @typedef {import("../../page/protocol.js").ChatClient} ChatClient */

const FILE = new File(["what is in it"], "notes.txt", { type: "text/plain" });

/**
 * Make each kind of request, and return its outcomes.
 * @param {ChatClient} client
 */
function outcomesOfAll(client) {
  return Promise.all([
    outcomeOf(client.upload(CHAT_ID, FILE)),
    outcomeOf(client.downloadLink(CHAT_ID, "k/notes.txt")),
    outcomeOf(client.history(CHAT_ID)),
  ]);
}

/**
 * Let time pass until a promise is settled, and return its value.
 * @template T
 * @param {ReturnType<typeof stopClock>} clock
 * @param {Promise<T>} promise
 */
async function settled(clock, promise) {
  let isSettled = false;
  promise.finally(() => {
    isSettled = true;
  });
  while (!isSettled) await clock.run(1);
  return promise;
}

const ALL_DISCONNECTED = ["disconnected", "disconnected", "disconnected"];

test("requests of a client that never connected are rejected", async (t) => {
  assert.deepEqual(await outcomesOfAll(clientOf(t, "ws://127.0.0.1/prod")), ALL_DISCONNECTED);
});

test("requests without an answer are rejected by disconnect", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const client = await connected(clientOf(t, backend.url));
  backend.onFrame = () => [];
  const outcomes = outcomesOfAll(client);
  client.disconnect();
  assert.deepEqual(await outcomes, ALL_DISCONNECTED);
  assert.deepEqual(await outcomesOfAll(client), ALL_DISCONNECTED);
});

test("requests that wait for a connection are rejected when the client gives up", async (t) => {
  const client = clientOf(t, "ws://127.0.0.1/prod", {
    token: () => Promise.reject(new ChatError("signed_out", "Nobody is signed in.")),
  });
  client.connect();
  assert.deepEqual(await outcomesOfAll(client), ALL_DISCONNECTED);
  assert.equal(client.state.error?.code, "signed_out");
});

test("file requests wait for a connection", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const client = clientOf(t, backend.url);
  client.connect();
  const outcomes = await outcomesOfAll(client);
  assert.deepEqual(outcomes, ["resolved", "resolved", "disconnected"]);
});

test("file requests without a connection are rejected after two minutes", async (t) => {
  const backend = await ScriptedBackend.start(t);
  backend.onHandshake = () => null;
  const clock = stopClock(t);
  const client = clientOf(t, backend.url);
  client.connect();
  const startedAt = Date.now();
  assert.deepEqual(await settled(clock, outcomesOfAll(client)), ALL_DISCONNECTED);
  assert.equal(Date.now() - startedAt, 120_000);
});

test("requests that the backend never answers are rejected", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const clock = stopClock(t);
  const client = await connected(clientOf(t, backend.url));
  backend.onFrame = () => [];
  const outcomes = await settled(clock, outcomesOfAll(client));
  // A page of a chat ends with its connection, which is replaced.
  for (const outcome of outcomes) assert.match(String(outcome), /^(no_answer|disconnected)$/);
});

test("file requests are rejected where each connection breaks before the answer", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const clock = stopClock(t);
  const client = await connected(clientOf(t, backend.url));
  backend.onFrame = () => {
    backend.cutConnections();
    return [];
  };
  const link = outcomeOf(client.downloadLink(CHAT_ID, "k/notes.txt"));
  assert.match(String(await settled(clock, link)), /^(no_answer|disconnected)$/);
});

test("an upload that stalls is tried again, and rejected in the end", async (t) => {
  const backend = await ScriptedBackend.start(t);
  let attempts = 0;
  backend.onRequest = (request) => {
    attempts += 1;
    request.resume(); // and no response
  };
  const clock = stopClock(t);
  const client = await connected(clientOf(t, backend.url));
  const upload = outcomeOf(client.upload(CHAT_ID, FILE));
  assert.equal(await settled(clock, upload), "upload_failed");
  // With a fast clock, an attempt may be over before it reaches the backend.
  assert.ok(attempts > 1 && attempts <= 6, `${attempts} attempts`);
});

test("an upload that stalls once gets through", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const answer = backend.onRequest;
  backend.onRequest = (request) => {
    backend.onRequest = answer;
    request.resume();
  };
  const clock = stopClock(t);
  const client = await connected(clientOf(t, backend.url));
  assert.equal(await settled(clock, client.upload(CHAT_ID, FILE)), "k/notes.txt");
});

test("an upload goes on while the client is offline", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const client = await connected(clientOf(t, backend.url));
  backend.onRequest = (request, response) => {
    client.disconnect();
    request.resume().on("end", () => response.end());
  };
  assert.equal(await client.upload(CHAT_ID, FILE), "k/notes.txt");
});

test("requests leave no listener at their AbortSignal", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const client = await connected(clientOf(t, backend.url));
  const { signal } = new AbortController();
  const listeners = () => getEventListeners(signal, "abort").length;

  const upload = client.upload(CHAT_ID, FILE, { signal });
  assert.equal(listeners(), 1);
  await upload;
  assert.equal(listeners(), 0);

  await client.downloadLink(CHAT_ID, "k/notes.txt", signal);
  assert.equal(listeners(), 0);

  backend.onFrame = (frame) => [errorFrame(frame, "forbidden")];
  assert.equal(await outcomeOf(client.downloadLink(CHAT_ID, "k/x", signal)), "forbidden");
  assert.equal(await outcomeOf(client.upload(CHAT_ID, FILE, { signal })), "forbidden");
  assert.equal(listeners(), 0);

  backend.onFrame = (frame) => backend.answer(frame);
  const { onRequest } = backend;
  backend.onRequest = (request, response) => {
    backend.onRequest = onRequest;
    request.resume().on("end", () => response.writeHead(503).end()); // then there is a backoff
  };
  await client.upload(CHAT_ID, FILE, { signal });
  assert.equal(listeners(), 0);
});

test("an aborted request is rejected with the reason, and the next one is sent", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const client = await connected(clientOf(t, backend.url));
  backend.onFrame = () => [];
  const abort = new AbortController();
  const first = outcomeOf(client.downloadLink(CHAT_ID, "k/first", abort.signal));
  const second = client.downloadLink(CHAT_ID, "k/second");
  await until(() => backend.frames.length === 1);
  backend.onFrame = (frame) => backend.answer(frame);
  abort.abort("enough");
  assert.equal(await first, "enough");
  assert.equal((await second).fileKey, "k/second");
});

test("an aborted upload is rejected with the reason while the file is sent", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const client = await connected(clientOf(t, backend.url));
  const abort = new AbortController();
  backend.onRequest = () => abort.abort("enough");
  assert.equal(await outcomeOf(client.upload(CHAT_ID, FILE, { signal: abort.signal })), "enough");
});
