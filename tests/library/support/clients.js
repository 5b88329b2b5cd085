/** Clients, and waiting for what they do. */

import { ChatClient, ChatError } from "../../../page/protocol.js";
import { realDelay } from "./clock.js";
import { WebSocket } from "./sockets.js";

/**
 * Return a client of user123 that is disconnected after the test.
 * @param {import("node:test").TestContext} test
 * @param {string} url
 * @param {Partial<import("../../../page/protocol.js").ChatClientOptions>} [options]
 * @param {typeof ChatClient} [Client] of a bundle
 */
export function clientOf(test, url, options = {}, Client = ChatClient) {
  const client = new Client({ url, userId: "user123", WebSocket, ...options });
  test.after(() => client.disconnect());
  return client;
}

/**
 * Wait for a state of a client.
 * @param {ChatClient} client
 * @param {import("../../../page/protocol.js").StateName} name
 * @returns {Promise<import("../../../page/protocol.js").State>}
 */
export async function stateOf(client, name) {
  await until(() => client.state.name === name);
  return client.state;
}

/**
 * Connect a client, and wait until it has caught up.
 * @param {ChatClient} client
 */
export async function connected(client) {
  client.connect();
  await stateOf(client, "connected");
  return client;
}

/**
 * Wait for a condition, in real time; the test runner's timeout ends it.
 * @param {() => boolean} condition
 */
export async function until(condition) {
  while (!condition()) await realDelay();
}

/**
 * Return what a promise was rejected with: the code of a ChatError; or "resolved".
 * @param {Promise<unknown>} promise
 * @returns {Promise<unknown>}
 */
export function outcomeOf(promise) {
  return promise.then(() => "resolved", (error) => error instanceof ChatError ? error.code : error);
}
