/** Tokens: only a clear refusal ends the client. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ChatError } from "../../page/protocol.js";
import { clientOf, stateOf } from "./support/clients.js";
import { stopClock } from "./support/clock.js";
import { ScriptedBackend } from "./support/scripted-backend.js";

/** @param {Record<string, unknown>} claims */
function tokenWith(claims) {
  return ["{}", JSON.stringify(claims), "signature"]
    .map((part) => Buffer.from(part).toString("base64url")).join(".");
}

const EXPIRED = tokenWith({ sub: "user123", exp: 1_700_000_000 });
const VALID = tokenWith({ sub: "user123", exp: 9_700_000_000 });

for (const [name, unusable, code] of [
  ["has expired", EXPIRED, "token_expired"],
  ["is malformed", "<html>Sign in to the Wi-Fi</html>", "bad_token"],
]) {
  test(`a token function whose token ${name} once is asked again`, async (t) => {
    const backend = await ScriptedBackend.start(t);
    const tokens = [unusable, VALID];
    const client = clientOf(t, backend.url, { token: () => tokens.shift() ?? "" });
    client.connect();
    assert.equal((await stateOf(client, "waiting")).error?.code, code);
    await stateOf(client, "connected");
    assert.equal(backend.handshakes.length, 1);
    assert.deepEqual(tokens, []);
  });
}

test("a token function whose tokens have all expired is asked with backoff", async (t) => {
  const clock = stopClock(t);
  /** @type {number[]} */
  const delays = [];
  const client = clientOf(t, "ws://127.0.0.1/prod", { token: async () => EXPIRED });
  client.addEventListener("state", ({ detail: { name, retryAt = 0 } }) => {
    if (name === "waiting") delays.push(retryAt - Date.now());
  });
  client.connect();
  while (delays.length < 5) await clock.run(1);
  for (const [failures, delay] of delays.entries()) {
    const maximum = 1000 * 2 ** failures;
    assert.ok(delay >= maximum / 2 && delay <= maximum, `${delay} ms after ${failures} failures`);
  }
});

test("a token function that throws a ChatError ends the client", async (t) => {
  let asked = 0;
  const client = clientOf(t, "ws://127.0.0.1/prod", {
    token: () => {
      asked += 1;
      throw new ChatError("token_expired", "Sign in again.");
    },
  });
  client.connect();
  assert.equal((await stateOf(client, "offline")).error?.message, "Sign in again.");
  assert.equal(asked, 1);
});

for (const [code, options] of /** @type {const} */ ([
  ["token_expired", { token: EXPIRED }],
  ["bad_token", { token: "abc" }],
  ["bad_user_id", { userId: "a b" }],
  ["bad_address", { url: "not a URL" }],
])) {
  test(`${code}: what stays wrong ends the client`, async (t) => {
    const client = clientOf(t, "ws://127.0.0.1/prod", options);
    client.connect();
    assert.equal((await stateOf(client, "offline")).error?.code, code);
  });
}
