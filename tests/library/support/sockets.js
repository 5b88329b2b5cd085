/** The WebSockets that a client in Node may use. */

import * as undici from "undici";
import { WebSocket } from "ws";

/**
 * By name. Node's is that of undici; it is global from Node 22.
 * @type {[string, new (url: string) => import("../../../page/protocol.js").Socket][]}
 */
export const WEB_SOCKETS = [
  ["ws", WebSocket],
  ["Node's WebSocket", globalThis.WebSocket ?? undici.WebSocket],
];

export { WebSocket };
