/** Messages that the operator erased. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { clientOf, connected } from "./support/clients.js";
import { ScriptedBackend, missedMessage, syncedFrame } from "./support/scripted-backend.js";

test("an erased message is passed on, one without any content is not", async (t) => {
  const backend = await ScriptedBackend.start(t);
  const client = clientOf(t, backend.url);
  /** @type {unknown[]} */
  const received = [];
  client.addEventListener("message", ({ detail }) => received.push(detail));
  const erased = { ...missedMessage(1), text: undefined, erased: true };
  const empty = { ...missedMessage(2), text: undefined };
  backend.onConnect = () => [{ type: "messages", messages: [erased, empty] }, syncedFrame(1)];
  await connected(client);
  assert.deepEqual(received, [JSON.parse(JSON.stringify(erased))]);
});
