/** A backend whose frames the test chooses. */

import { once } from "node:events";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

import { realDelay } from "./clock.js";

/** @typedef {Record<string, any>} Frame */

export const CHAT_ID = "user123#user456";

/**
 * Return the end of a catch-up.
 * @param {number} until
 */
export function syncedFrame(until) {
  return { type: "synced", since: 0, until, count: 0, complete: true };
}

/**
 * Return a missed message.
 * @param {number} timestamp
 */
export function missedMessage(timestamp) {
  return {
    messageId: `m${timestamp}`, chatId: CHAT_ID, senderId: "user456", recipientId: "user123",
    timestamp, text: `at ${timestamp}`,
  };
}

/**
 * Return the refusal of a frame.
 * @param {Frame} frame
 * @param {string} code
 */
export function errorFrame({ action, clientMessageId }, code) {
  return { type: "error", action, code, message: "No.", requestId: "r", clientMessageId };
}

/** Frames and handshakes that were received, and functions that answer them. */
export class ScriptedBackend {
  /** @type {URLSearchParams[]} the query of each handshake */
  handshakes = [];
  /** @type {Frame[]} */
  frames = [];
  /** @type {import("ws").WebSocket[]} the open connections */
  sockets = [];
  /**
   * Returns the frames for a new connection, of which the first has number 1.
   * @type {(number: number) => Frame[]}
   */
  onConnect = (number) => [syncedFrame(number)];
  /** @type {(frame: Frame) => Frame[]} */
  onFrame = (frame) => this.answer(frame);
  /**
   * Returns the HTTP response to a handshake; "" accepts it, null never answers.
   * @type {(number: number) => string | null}
   */
  onHandshake = () => "";
  /** @type {import("node:http").RequestListener} for uploads and downloads */
  onRequest = (request, response) => {
    request.resume().on("end", () => response.end());
  };

  #server = createServer((request, response) => this.onRequest(request, response));
  #acceptor = new WebSocketServer({ noServer: true });
  /** @type {import("node:stream").Duplex[]} of all handshakes */
  #streams = [];

  /**
   * Start a backend that lives as long as a test.
   * @param {import("node:test").TestContext} test
   */
  static async start(test) {
    const backend = new ScriptedBackend();
    backend.#server.on("upgrade", (...upgrade) => backend.#onUpgrade(...upgrade));
    backend.#server.listen(0, "127.0.0.1");
    await once(backend.#server, "listening");
    test.after(() => backend.stop());
    return backend;
  }

  get #port() {
    const address = this.#server.address();
    return typeof address === "object" ? address?.port : address;
  }

  get url() {
    return `ws://127.0.0.1:${this.#port}/prod`;
  }

  /** Break all connections without a word. */
  cutConnections() {
    for (const socket of this.sockets) socket.terminate();
    this.sockets = [];
  }

  async stop() {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    for (const stream of this.#streams) stream.destroy();
    await closed;
    await realDelay(); // clients notice it before a next test replaces the clock
  }

  /** @param {Frame[]} frames to send to the last connection */
  push(...frames) {
    for (const frame of frames) this.sockets.at(-1)?.send(JSON.stringify(frame));
  }

  /**
   * Return the frames with which the real backend answers, where there is nothing to report.
   * @param {Frame} frame
   * @returns {Frame[]}
   */
  answer(frame) {
    const { action, chatId, clientMessageId, fileKey, fileName } = frame;
    if (action === "sendmessage") {
      return [{
        type: "ack", action, messageId: `id of ${clientMessageId}`, chatId, timestamp: 5,
        delivered: 1, clientMessageId,
      }];
    }
    if (action === "getmessages") {
      return [chatId ? { type: "history", chatId, messages: [], more: false, receipts: {} }
        : syncedFrame(frame.since)];
    }
    const http = this.url.replace("ws", "http");
    const link = fileName ? { type: "upload", fileKey: `k/${fileName}`, uploadUrl: `${http}/up` }
      : { type: "download", fileKey, fileUrl: `${http}/down`, fileName: "x", size: 1 };
    return [{ ...link, action, chatId, method: "PUT", headers: {}, expiresIn: 900 }];
  }

  /**
   * @param {import("node:http").IncomingMessage} request
   * @param {import("node:stream").Duplex} stream
   * @param {Buffer} head
   */
  #onUpgrade(request, stream, head) {
    this.handshakes.push(new URL(request.url ?? "", this.url).searchParams);
    const number = this.handshakes.length;
    const refusal = this.onHandshake(number);
    this.#streams.push(stream);
    stream.on("error", () => {}); // the client may break it
    if (refusal) {
      stream.end(refusal);
    } else if (refusal === "") {
      this.#acceptor.handleUpgrade(request, stream, head, (socket) => {
        this.sockets.push(socket);
        socket.on("message", (data) => this.#onMessage(String(data)));
        this.push(...this.onConnect(number));
      });
    }
  }

  /** @param {string} data */
  #onMessage(data) {
    const frame = JSON.parse(data);
    this.frames.push(frame);
    this.push(...this.onFrame(frame));
  }
}
