/** Two clients in Node chat through the local runner. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { chatIdOf } from "../../page/protocol.js";
import { clientOf, connected } from "./support/clients.js";
import { startRunner } from "./support/runner.js";
import { WEB_SOCKETS } from "./support/sockets.js";

/** @param {import("../../page/protocol.js").ChatClient} client */
function nextMessage(client) {
  return /** @type {Promise<import("../../page/protocol.js").ReceivedMessage>} */ (
    new Promise((resolve) => {
      client.addEventListener("message", ({ detail }) => resolve(detail), { once: true });
    }));
}

function newPair() {
  const digits = randomUUID().slice(0, 8);
  return [`user123-${digits}`, `user456-${digits}`];
}

test("with the local runner", { timeout: 90_000 }, async (suite) => {
  const url = await startRunner(suite);

  for (const [name, WebSocket] of WEB_SOCKETS) {
    await suite.test(`${name}: a text is acknowledged, received and in the history`, async (t) => {
      const [one, other] = newPair();
      const chatId = chatIdOf(one, other);
      const sender = await connected(clientOf(t, url, { userId: one, WebSocket }));
      const recipient = await connected(clientOf(t, url, { userId: other, WebSocket }));
      const received = nextMessage(recipient);
      const ack = await sender.send({ chatId, text: "Hello!" }).ack;
      assert.equal(ack.delivered, 1);
      assert.equal((await received).text, "Hello!");
      assert.equal((await received).messageId, ack.messageId);
      const { messages } = await recipient.history(chatId);
      assert.deepEqual(messages.map(({ messageId }) => messageId), [ack.messageId]);
    });

    await suite.test(`${name}: a file goes up and down`, async (t) => {
      const [one, other] = newPair();
      const chatId = chatIdOf(one, other);
      const sender = await connected(clientOf(t, url, { userId: one, WebSocket }));
      const recipient = await connected(clientOf(t, url, { userId: other, WebSocket }));
      const received = nextMessage(recipient);
      const file = new File(["what is in it"], "notes.txt", { type: "text/plain" });
      /** @type {number[]} */
      const progress = [];
      const fileKey = await sender.upload(chatId, file, {
        onProgress: (fraction) => progress.push(fraction),
      });
      await sender.send({ chatId, fileKey }).ack;
      assert.equal((await received).fileName, "notes.txt");
      const { fileUrl } = await recipient.downloadLink(chatId, fileKey);
      assert.equal(await (await fetch(fileUrl)).text(), "what is in it");
      assert.deepEqual(progress, [1]);
    });
  }

  await suite.test("a process that disconnects ends by itself", async () => {
    const script = fileURLToPath(new URL("support/send-one.js", import.meta.url));
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath, ["--no-warnings", script, url]);
    assert.match(stdout, /^[0-9a-f-]+\n$/);
    assert.equal(stderr, "");
  });
});
