/** Bundlers take `protocol.js` as it is, and what they make of it works. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { build } from "esbuild";

import { clientOf, connected } from "./support/clients.js";
import { CHAT_ID, ScriptedBackend } from "./support/scripted-backend.js";
import { WebSocket } from "./support/sockets.js";

/** @type {[string, string[]][]} */
const TARGETS = [
  ["the default target of Vite 8", ["chrome111", "edge111", "firefox114", "safari16.4"]],
  ["the default target of Vite 7", ["chrome107", "edge107", "firefox104", "safari16"]],
  // There it is safari14, for which this version of esbuild cannot even write destructuring.
  ["the browsers of Vite 6", ["es2020", "edge88", "firefox78", "chrome87", "safari14.1"]],
];

for (const [name, target] of TARGETS) {
  test(`esbuild bundles it for ${name}, and the bundle sends a message`, async (t) => {
    const { outputFiles, warnings } = await build({
      entryPoints: ["page/protocol.js"], absWorkingDir: new URL("../..", import.meta.url).pathname,
      bundle: true, minify: true, write: false, format: "esm", platform: "neutral", target,
      logLevel: "silent",
    });
    assert.deepEqual(warnings, []);
    const [{ text }] = outputFiles;
    assert.match(text, /SPDX-License-Identifier: MIT/);
    /** @type {typeof import("../../page/protocol.js")} */
    const bundle = await import(`data:text/javascript,${encodeURIComponent(text)}`);
    const backend = await ScriptedBackend.start(t);
    const client = await connected(clientOf(t, backend.url, { WebSocket }, bundle.ChatClient));
    assert.equal((await client.send({ chatId: CHAT_ID, text: "Hello!" }).ack).timestamp, 5);
  });
}

test("it needs no dependency, no top-level await and no import.meta", async () => {
  // CommonJS has neither of the last two.
  const { metafile, warnings } = await build({
    entryPoints: ["page/protocol.js"], absWorkingDir: new URL("../..", import.meta.url).pathname,
    bundle: true, write: false, format: "cjs", platform: "neutral", metafile: true,
    logLevel: "silent",
  });
  assert.deepEqual(warnings, []);
  assert.deepEqual(Object.keys(metafile.inputs), ["page/protocol.js"]);
});
