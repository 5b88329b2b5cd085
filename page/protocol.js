/*! Copyright (c) 2026 The Serverless Chat Backend authors. SPDX-License-Identifier: MIT */
/**
 * A client of the chat that loses no message: one module without dependencies, to copy and use. It
 * runs in browsers, in workers, and in Node with its own WebSocket or that of the package `ws`.
 *
 *     import { ChatClient, chatIdOf } from "./protocol.js";
 *
 *     const client = new ChatClient({ url: "wss://….amazonaws.com/prod", userId: "user123" });
 *     client.addEventListener("message", ({ detail }) => console.log(detail.text));
 *     client.connect();
 *     const { ack } = client.send({ chatId: chatIdOf("user123", "user456"), text: "Hello!" });
 *     console.log((await ack).messageId);
 *
 * It follows the rules of docs/protocol.md for a client that never loses a message: it gives each
 * message a `clientMessageId` and resends it until it is acknowledged; it connects with the `until`
 * of the last `synced` as `since`; it asks now and then, on the open connection, what it missed; it
 * deduplicates messages by their `messageId`. Its owner stores what has to survive a reload, as
 * `storage.js` does: it takes it from these events, and passes it back as options. It also sends
 * the signals `received`, `read` and `typing`, unless an option turns them off.
 *
 * | event     | detail                                                                       |
 * | --------- | ---------------------------------------------------------------------------- |
 * | `state`   | {@link State}: what the connection is doing                                  |
 * | `message` | {@link ReceivedMessage}: from the partner, or your own from another device.  |
 * |           | Each `messageId` once. What you sent while this device was offline is in     |
 * |           | the history only                                                             |
 * | `outbox`  | {@link OutboxItem}: it is new, refused, or will be resent. Store it *now*,   |
 * |           | before it is sent                                                            |
 * | `ack`     | {@link Acknowledged}: the message is stored, and no longer in the outbox     |
 * | `synced`  | {@link Synced}: a catch-up is over. Store `until`                            |
 * | `receipt` | {@link Receipt}: a receipt of a user has moved forward                       |
 * | `typing`  | {@link Typing}: a user is typing now; let it expire after ten seconds        |
 * | `error`   | {@link ChatError} that belongs to no message                                 |
 */

// --- the frames of docs/asyncapi.yaml ------------------------------------------------------------

/** @typedef {{action: "sendmessage", chatId: string, text?: string, fileKey?: string,
 *   clientMessageId: string}} SendMessageFrame */

/** @typedef {{action: "sendmessage", chatId: string, received?: number, read?: number,
 *   typing?: true, clientMessageId: string}} SignalFrame with one of the three */

/** @typedef {{action: "sendfile", chatId: string, fileName: string, contentType: string,
 *   size: number}} UploadRequest */

/** @typedef {{action: "sendfile", chatId: string, fileKey: string}} DownloadRequest */

/** @typedef {{action: "getmessages", since: number}} CatchUpRequest */

/** @typedef {{action: "getmessages", chatId: string, before?: number,
 *   limit?: number}} HistoryRequest */

/**
 * @typedef {object} ReceivedMessage
 * @property {string} messageId
 * @property {string} chatId
 * @property {string} senderId
 * @property {string} recipientId
 * @property {number} timestamp milliseconds since 1970
 * @property {string} [text]
 * @property {string} [fileKey] of the file, if there is one, like the fields below
 * @property {string} [fileUrl] a download link, which expires
 * @property {string} [fileName]
 * @property {string} [contentType]
 * @property {number} [size] in bytes
 * @property {true} [erased] the operator erased its text and its file
 * @property {string} [clientMessageId] yours, if you sent it from another device a moment ago
 */

/** @typedef {ReceivedMessage & {type: "message"}} MessageFrame sent a moment ago */

/** @typedef {{type: "messages", messages: ReceivedMessage[]}} MessagesFrame missed, oldest first */

/** @typedef {{received?: number, read?: number}} Receipts up to which times of the chat */

/** @typedef {{type: "receipt", chatId: string, userId: string} & Receipts} ReceiptFrame */

/** @typedef {{type: "typing", chatId: string, userId: string}} TypingFrame */

/** @typedef {{type: "history", chatId: string, messages: ReceivedMessage[], more: boolean,
 *   before?: number, receipts: Record<string, Receipts>}} HistoryFrame oldest first */

/** @typedef {{type: "ack", action: "sendmessage", messageId: string, chatId: string,
 *   timestamp: number, delivered: number, clientMessageId: string, duplicate?: true}} AckFrame */

/** @typedef {{type: "ack", action: "sendmessage", chatId: string, received?: number, read?: number,
 *   typing?: true}} SignalAckFrame */

/** @typedef {{type: "upload", action: "sendfile", chatId: string, fileKey: string,
 *   uploadUrl: string, method: "PUT", headers: Record<string, string>,
 *   expiresIn: number}} UploadFrame */

/** @typedef {{type: "download", action: "sendfile", chatId: string, fileKey: string,
 *   fileUrl: string, fileName: string, contentType: string, size: number,
 *   expiresIn: number}} DownloadFrame */

/** @typedef {UploadFrame | DownloadFrame} FileFrame */

/** @typedef {{type: "synced", since: number, until: number, count: number,
 *   complete: boolean}} SyncedFrame */

/** @typedef {UploadFrame | DownloadFrame | HistoryFrame | SyncedFrame} AnswerFrame */

/** @typedef {{type: "error", action: "sendmessage" | "sendfile" | "getmessages", code: string,
 *   message: string, requestId: string, clientMessageId?: string,
 *   retryAfterMs?: number}} ErrorFrame */

/**
 * API Gateway's own error.
 * @typedef {{type?: undefined, message: string, connectionId: string,
 *   requestId: string}} GatewayErrorFrame
 */

/**
 * @typedef {MessageFrame | MessagesFrame | AckFrame | SignalAckFrame | ReceiptFrame | TypingFrame
 *   | AnswerFrame | ErrorFrame | GatewayErrorFrame} ServerFrame
 */

/**
 * A frame as it was parsed: its fields may be missing, or of any type.
 * @template {ServerFrame} [F=ServerFrame]
 * @typedef {F extends unknown
 *   ? {type: F["type"]} & {[Name in Exclude<keyof F, "type">]?: unknown} : never} Unchecked
 */

// --- the events and options ----------------------------------------------------------------------

/** @typedef {"offline" | "connecting" | "catching-up" | "connected" | "waiting"} StateName */

/**
 * What the connection is doing.
 * @typedef {object} State
 * @property {StateName} name
 * @property {number} [retryAt] when it connects again, if it waits; milliseconds since 1970
 * @property {"lost" | "unreachable"} [problem] why it waits: it was open, or it never opened.
 *   Browsers do not distinguish a refused handshake from a backend that does not respond.
 * @property {ChatError} [error] why it does not try again; or, if it waits, why there was no token
 */

/** @typedef {{name: string, type?: string, size?: number}} FileInfo */

/**
 * A message that is not acknowledged yet.
 * @typedef {object} OutboxItem
 * @property {string} clientMessageId
 * @property {string} chatId
 * @property {string} [text]
 * @property {string} [fileKey]
 * @property {FileInfo} [file] what to show of its file; it is not sent
 * @property {number} createdAt milliseconds since 1970
 * @property {"queued" | "refused"} status
 * @property {{code: string, message: string, requestId?: string}} [error] the last one. While the
 *   item is `queued`, it is resent.
 */

/**
 * @typedef {{messageId: string, timestamp: number, delivered?: number,
 *   duplicate?: true}} Ack without `delivered` if the message came back to this device instead
 */

/**
 * An item of the outbox with a promise of its ack. The promise is pending while the item is
 * `queued`, and rejected with a {@link ChatError} when the item is refused or discarded, which may
 * be left unhandled. The property is not enumerable, so that a stored item does not contain it.
 * @typedef {OutboxItem & {readonly ack: Promise<Ack>}} SentItem
 */

/** @typedef {{item: OutboxItem, ack: Ack}} Acknowledged */

/** @typedef {SyncedFrame & {newMessages: number}} Synced with the number since the last one */

/** @typedef {{chatId: string, userId: string} & Receipts} Receipt the greatest times known */

/** @typedef {{chatId: string, userId: string}} Typing of a partner, or of you on another device */

/** @typedef {"received" | "read" | "typing"} SignalName */

/**
 * The payload of each event, as its `detail`.
 * @typedef {object} ChatEvents
 * @property {State} state
 * @property {ReceivedMessage} message
 * @property {OutboxItem} outbox
 * @property {Acknowledged} ack
 * @property {Synced} synced
 * @property {Receipt} receipt
 * @property {Typing} typing
 * @property {ChatError} error
 */

/**
 * What the client uses of a WebSocket.
 * @typedef {object} Socket
 * @property {(type: any, listener: (event: any) => void) => void} addEventListener
 * @property {(data: string) => void} send
 * @property {() => void} close
 */

/**
 * @typedef {object} ChatClientOptions
 * @property {string} url of the stage: `wss://…/prod`
 * @property {string} [userId] may be left out if there is a token. The backend refuses one that is
 *   not the token's, so that no outbox is sent as another user's.
 * @property {string | (() => string | Promise<string>)} [token] for a backend with authentication.
 *   A function is called before each connection. If it throws a {@link ChatError}, the client goes
 *   offline. After another error, and if it returns a token that has expired or is malformed, it
 *   is called again with backoff.
 * @property {number} [since] the last `until` that you stored; 0 the first time
 * @property {Iterable<string>} [seen] the ids of the messages that you have, oldest first. The
 *   last 10,000 count
 * @property {Iterable<OutboxItem>} [outbox] the items that you stored
 * @property {Partial<Record<SignalName, boolean>>} [signals] which are sent; all by default. It is
 *   read before each signal, so it may change
 * @property {new (url: string, protocols: string[]) => Socket} [WebSocket] the global one, by
 *   default. Node has one from version 22; before that, pass the one of the package `ws`
 */

/**
 * @template {keyof ChatEvents} T
 * @callback ChatListener
 * @param {CustomEvent<ChatEvents[T]>} event
 * @returns {void}
 */

/**
 * An EventTarget whose events are {@link ChatEvents}.
 * @typedef {object} ChatEventTarget
 * @property {<T extends keyof ChatEvents>(type: T, listener: ChatListener<T>,
 *   options?: {once?: boolean, signal?: AbortSignal}) => void} addEventListener
 * @property {<T extends keyof ChatEvents>(type: T, listener: ChatListener<T>) => void
 *   } removeEventListener
 * @property {(event: Event) => boolean} dispatchEvent
 */
const ChatEventTarget = /** @type {new () => ChatEventTarget} */ (EventTarget);

/** The pattern of a user id. */
export const USER_ID = /^[A-Za-z0-9._@+=:|'~-]{1,128}$/;

/** In code points. */
export const MAX_TEXT_LENGTH = 4096;

// A message that was being stored while this client connected may be missing from the catch-up of
// the handshake. Five seconds later it is found.
const FIRST_CATCH_UP_DELAY_MS = 5_000;
// API Gateway closes a connection that is idle for 10 minutes. Whether its own pings count is not
// documented.
const CATCH_UP_INTERVAL_MS = 4 * 60_000;
const RESPONSE_TIMEOUT_MS = 12_000;
// Shorter, because a connection is often dead after sleep or a change of the network.
const PROBE_TIMEOUT_MS = 5_000;
// For a request with all its attempts, and the time without a connection.
const REQUEST_TIMEOUT_MS = 2 * 60_000;
const SLEEP_CHECK_INTERVAL_MS = 10_000;
// Longer than a minute, after which browsers run the timers of hidden pages.
const MIN_SLEEP_MS = 90_000;
const UPLOAD_STALL_TIMEOUT_MS = 30_000;
// Extends the timeout where the progress of an upload is not known.
const MIN_UPLOAD_BYTES_PER_MS = 16;
// In a network that drops packets, a handshake has no result at all.
const CONNECT_TIMEOUT_MS = 60_000;
// The lanes of requests; that of a page of a chat is the chat id.
const FILES = "files";
const CATCH_UP = "catch-up";
const MIN_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 30_000;
// After a connection that lasted this long, the backoff starts again at its minimum.
const STABLE_CONNECTION_MS = 60_000;
const MAX_ATTEMPTS = 6;
// Five times what one run of a catch-up may bring.
const MAX_SEEN = 10_000;
// API Gateway closes the connection on a larger frame, and would do so at each attempt.
const MAX_FRAME_BYTES = 32 * 1024;
// The clocks of the issuer, the backend and this machine differ.
const MAX_CLOCK_SKEW_MS = 5 * 60_000;
// Less than half of the ten seconds after which "typing" expires, so that one may be lost.
const TYPING_INTERVAL_MS = 4_000;
// It may overtake the message before it, whose arrival would end it.
const TYPING_AFTER_MESSAGE_MS = 1_500;
// How the id of a signal begins, so that its error is not taken for that of a message.
const SIGNAL_ID = "signal-";

/** An error: a code of the protocol or of this module, and a sentence. */
export class ChatError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{requestId?: string, retryAfterMs?: number}} [more]
   */
  constructor(code, message, { requestId, retryAfterMs } = {}) {
    super(message);
    this.name = "ChatError";
    this.code = code;
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
  }
}

/** An error after which the token function is called again. */
class TokenError extends ChatError {}

/** Return a random id. `crypto.randomUUID` does not exist on a page that came by plain HTTP. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Return the id of the chat of two users.
 * @param {string} one
 * @param {string} other
 */
export function chatIdOf(one, other) {
  return [one, other].sort().join("#");
}

/**
 * Return a chat id with its users in the order in which the backend writes it.
 * @param {string} chatId
 */
function sorted(chatId) {
  const [one, other] = chatId.split("#");
  return chatIdOf(one, other);
}

/** Return the error of a request whose connection is closed. */
function disconnected() {
  return new ChatError("disconnected", "There is no connection.");
}

/** Return the error of a frame that has no answer. */
function noAnswer() {
  return new ChatError("no_answer", "The backend does not answer.");
}

/**
 * Return the claims of a token without verifying it, which the backend does.
 * @param {string} token
 * @returns {Record<string, unknown> | null} null if it is not a JSON Web Token
 */
export function claimsOf(token) {
  const parts = token.split(".");
  if (parts.length !== 3) return null;
  try {
    const binary = atob(parts[1].replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" && claims !== null && !Array.isArray(claims) ? claims : null;
  } catch {
    return null;
  }
}

/**
 * Raise an error if a token is malformed or has expired, whatever its signature is.
 * @param {string} token
 * @param {typeof ChatError} TypeOfError
 * @throws {ChatError}
 */
function requireUsableToken(token, TypeOfError = ChatError) {
  const claims = claimsOf(token);
  if (claims === null) {
    throw new TypeOfError("bad_token", "The token is not of the form of a JSON Web Token.");
  }
  if (typeof claims.exp === "number" && claims.exp * 1000 + MAX_CLOCK_SKEW_MS < Date.now()) {
    throw new TypeOfError("token_expired", "The token has expired: get a new one.");
  }
}

/** One user's connection to the chat, which is opened again until its owner disconnects. */
export class ChatClient extends ChatEventTarget {
  #url;
  #userId;
  #token;
  #since;
  #seen;
  /** @type {Map<string, OutboxItem>} by `clientMessageId`, in the order in which they are sent */
  #outbox = new Map();
  /** @type {Map<string, PromiseOfAck>} by `clientMessageId`, of the items that wait for one */
  #acks = new Map();
  /** @type {Map<string, InFlight>} by chat id */
  #inFlight = new Map();
  /** @type {Request[]} of which the first of each lane is sent */
  #requests = [];
  #WebSocket;
  /** @type {Socket | null} */
  #socket = null;
  // Changes with each connection, so that what an earlier one awaited can be ignored.
  #connectionNumber = 0;
  #isWanted = false;
  #attemptedAt = 0; // when the last attempt to connect began
  #openedAt = 0; // 0: it is not open
  #failures = 0;
  #newMessages = 0;
  #lastCreatedAt = 0;
  #connectTimer = 0;
  #reconnectTimer = 0;
  #catchUpTimer = 0;
  #probeTimer = 0;
  #sleepTimer = 0;
  /** Removes the listeners of `#listenToPlatform`. */
  #platform = new AbortController();
  #hasAskedToCatchUp = false; // on this connection
  #signals;
  /** @type {Map<string, SentReceipt>} the greatest of each kind and chat, by both */
  #sentReceipts = new Map();
  /** @type {Map<string, number>} the newest message that a catch-up brought, by chat id */
  #caughtUp = new Map();
  /** @type {Map<string, number>} when "typing" may be sent again, by chat id */
  #typingAfter = new Map();
  /** @type {Map<string, Map<string, Receipts>>} by chat id and user id */
  #receipts = new Map();

  /** @type {State} */
  state = { name: "offline" };

  /** @param {ChatClientOptions} options */
  constructor({ url, userId, token, since = 0, seen = [], outbox = [], signals = {}, ...more }) {
    super();
    this.#url = url;
    this.#userId = userId;
    this.#token = token;
    this.#since = since;
    this.#seen = new Set([...seen].slice(-MAX_SEEN));
    this.#signals = signals;
    this.#WebSocket = more.WebSocket ?? globalThis.WebSocket;
    for (const item of outbox) {
      this.#outbox.set(item.clientMessageId, item);
      this.#lastCreatedAt = Math.max(this.#lastCreatedAt, item.createdAt);
    }
  }

  // --- the owner's methods -----------------------------------------------------------------------

  /** Connect, and reconnect after each failure until `disconnect`. */
  connect() {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#failures = 0;
    this.#listenToPlatform();
    this.#open();
  }

  /**
   * Close the connection. The outbox keeps what is not acknowledged; other requests are rejected as
   * `disconnected`.
   */
  disconnect() {
    this.#stop({ name: "offline" });
  }

  /**
   * Check the connection now, or reconnect now. The client does it when the network is back, when
   * its page is shown, and after sleep.
   */
  checkConnection() {
    if (!this.#isWanted) return;
    if (this.#isOpen) this.#probe();
    else if (this.state.name === "waiting") this.#open();
    else if (Date.now() - this.#attemptedAt > PROBE_TIMEOUT_MS) this.#open(); // it began before
  }

  /**
   * Send a message once there is a connection, and resend it until it is acknowledged or refused.
   * @param {{chatId: string, text?: string, fileKey?: string, file?: FileInfo}} message
   * @returns {SentItem}
   * @throws {ChatError} if it does not fit in a frame
   */
  send({ chatId, text, fileKey, file }) {
    // Later than the one before, whatever the clock says: a reload orders the outbox by it.
    const createdAt = Math.max(Date.now(), this.#lastCreatedAt + 1);
    /** @type {OutboxItem} */
    const item = {
      clientMessageId: newId(), chatId, text, fileKey, file, createdAt, status: "queued",
    };
    requireFrameSize(sendMessageFrame(item));
    this.#lastCreatedAt = createdAt;
    this.#typingAfter.set(sorted(chatId), Date.now() + TYPING_AFTER_MESSAGE_MS);
    this.#outbox.set(item.clientMessageId, item);
    const sent = this.#promiseAck(item);
    this.#emit("outbox", item);
    this.#sendNext();
    return sent;
  }

  /**
   * Send a refused message again.
   * @param {string} clientMessageId
   * @returns {SentItem | undefined} the item, with a new promise; undefined if it is not known
   */
  retry(clientMessageId) {
    const item = this.#outbox.get(clientMessageId);
    if (!item) return undefined;
    item.status = "queued";
    delete item.error;
    const sent = this.#promiseAck(item);
    this.#emit("outbox", item);
    this.#sendNext();
    return sent;
  }

  /**
   * Remove a message from the outbox. If it was sent already, it may be stored nevertheless.
   * @param {string} clientMessageId
   */
  discard(clientMessageId) {
    const item = this.#outbox.get(clientMessageId);
    if (!item) return;
    this.#removeItem(item);
    this.#rejectAck(item, new ChatError("discarded", "The message was removed from the outbox."));
  }

  /**
   * Upload a file, to send its key in a message.
   *
   * Without a connection it waits up to two minutes for one, and is then rejected as
   * `disconnected`; at once if the client is offline.
   * @param {string} chatId
   * @param {Blob & {readonly name: string}} file such as a File
   * @param {object} [options]
   * @param {string} [options.contentType] if it differs from the file's own
   * @param {(fraction: number) => void} [options.onProgress] from 0 to 1. Without XMLHttpRequest,
   *   as in Node, it is called at the end only
   * @param {AbortSignal} [options.signal]
   * @returns {Promise<string>} its key
   * @throws {ChatError}
   */
  async upload(chatId, file, { contentType = file.type, onProgress = () => {}, signal } = {}) {
    /** @type {UploadRequest} */
    const request = {
      action: "sendfile", chatId, fileName: file.name, size: file.size,
      contentType: contentType || "application/octet-stream",
    };
    const sortedChatId = sorted(chatId);
    /** @param {AnswerFrame} frame */
    const answerIn = (frame) => frame.type === "upload" && frame.chatId === sortedChatId
      && frame.fileKey.endsWith(`/${file.name}`) && frame;
    let link = null;
    let refusals = 0;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      if (attempt > 0) await sleep(backoffMs(attempt - 1), signal);
      link ??= await this.#request(FILES, request, answerIn, signal);
      const status = await putFile(link, file, onProgress, signal);
      // 412: there is a file at this key. It is this one: the answer to an earlier PUT was lost.
      if ((status >= 200 && status < 300) || status === 412) return link.fileKey;
      if (status === 400 || status === 403) {
        // The link has expired, or S3 refuses this size or type.
        link = null;
        refusals += 1;
        if (refusals === 2) break;
      }
    }
    throw new ChatError("upload_failed", "The file did not get through. Try again.");
  }

  /**
   * Return a new download link, with what is known of the file. It waits for a connection as
   * `upload` does.
   * @param {string} chatId
   * @param {string} fileKey
   * @param {AbortSignal} [signal]
   * @returns {Promise<DownloadFrame>} `fileUrl` is the link
   * @throws {ChatError}
   */
  downloadLink(chatId, fileKey, signal) {
    /** @param {AnswerFrame} frame */
    const answerIn = (frame) => frame.type === "download" && frame.fileKey === fileKey && frame;
    return this.#request(FILES, { action: "sendfile", chatId, fileKey }, answerIn, signal);
  }

  /**
   * Return a page of a chat: what is stored of it, of both users, with new links to files.
   *
   * Pages of one chat are requested one after the other. A page that the connection is closed
   * before is refused as `disconnected`.
   * @param {string} chatId
   * @param {object} [options]
   * @param {number} [options.before] the `before` of the page of newer messages, if there is one
   * @param {number} [options.limit] of messages, 1 to 100; 50 by default
   * @returns {Promise<HistoryFrame>}
   * @throws {ChatError}
   */
  async history(chatId, { before, limit } = {}) {
    if (!this.#isOpen) throw disconnected();
    const sortedChatId = sorted(chatId);
    // What answers an earlier request for newer messages is not the answer to this one.
    /** @param {AnswerFrame} frame */
    const answerIn = (frame) => frame.type === "history" && frame.chatId === sortedChatId
      && frame.messages.every(({ timestamp }) => timestamp < (before ?? Infinity)) && frame;
    /** @type {HistoryRequest} */
    const request = { action: "getmessages", chatId, before, limit };
    return this.#request(sortedChatId, request, answerIn);
  }

  /**
   * Return up to which times a user has received and read a chat, as far as it is known. Each page
   * of the chat's history contains it, and `receipt` tells when it changes.
   * @param {string} chatId
   * @param {string} userId
   * @returns {Receipts}
   */
  receiptsOf(chatId, userId) {
    return this.#receipts.get(sorted(chatId))?.get(userId) ?? {};
  }

  /**
   * Send that everything in a chat up to a message is received. The client does it for what a
   * catch-up brought; a live push counts as delivered already.
   * @param {string} chatId
   * @param {number} timestamp of the message
   */
  markReceived(chatId, timestamp) {
    this.#sendReceipt("received", sorted(chatId), timestamp);
  }

  /**
   * Send that the user has read everything in a chat up to a message.
   * @param {string} chatId
   * @param {number} timestamp of the message
   */
  markRead(chatId, timestamp) {
    this.#sendReceipt("read", sorted(chatId), timestamp);
  }

  /**
   * Send that the user is typing: call it at each key. It is sent every four seconds at most.
   * @param {string} chatId with a message; the backend refuses to push it in another
   */
  markTyping(chatId) {
    const key = sorted(chatId);
    if (this.#signals.typing === false || !this.#isOpen) return;
    if (Date.now() < (this.#typingAfter.get(key) ?? 0)) return;
    this.#typingAfter.set(key, Date.now() + TYPING_INTERVAL_MS);
    this.#transmitSignal({
      action: "sendmessage", chatId: key, typing: true, clientMessageId: SIGNAL_ID + newId(),
    });
  }

  // --- the connection ----------------------------------------------------------------------------

  get #isOpen() {
    return this.#openedAt > 0;
  }

  async #open() {
    this.#close();
    this.#attemptedAt = Date.now();
    this.#connectTimer = setTimeout(() => this.#reconnectLater(), CONNECT_TIMEOUT_MS);
    const number = this.#connectionNumber;
    this.#setState({ name: "connecting" });
    try {
      const { address, protocols } = await this.#address();
      if (number !== this.#connectionNumber) return;
      if (!this.#WebSocket) {
        throw new ChatError("no_websocket", "There is no WebSocket: pass one, such as that of ws.");
      }
      this.#listenTo(new this.#WebSocket(address, protocols));
    } catch (error) {
      if (number === this.#connectionNumber) this.#connectFailed(error);
    }
  }

  /** @param {Socket} socket */
  #listenTo(socket) {
    this.#socket = socket;
    const isCurrent = () => socket === this.#socket;
    socket.addEventListener("open", () => isCurrent() && this.#onOpen());
    socket.addEventListener("message", ({ data }) => isCurrent() && this.#onFrame(data));
    // Without a listener to `error`, the package ws ends the process. After a refused handshake,
    // Node's WebSocket sends no `close`.
    for (const end of ["error", "close"]) {
      socket.addEventListener(end, () => isCurrent() && this.#reconnectLater());
    }
  }

  /** Check the connection when the network or the user is back, and after sleep. */
  #listenToPlatform() {
    this.#platform = new AbortController();
    const { signal } = this.#platform;
    const check = () => this.checkConnection();
    globalThis.addEventListener?.("online", check, { signal });
    globalThis.addEventListener?.("pageshow", check, { signal });
    globalThis.addEventListener?.("offline", () => this.#isOpen && this.#probe(), { signal });
    globalThis.document?.addEventListener(
      "visibilitychange", () => document.hidden || check(), { signal });
    let awakeAt = Date.now();
    this.#sleepTimer = setInterval(() => {
      if (Date.now() - awakeAt > MIN_SLEEP_MS) check();
      awakeAt = Date.now();
    }, SLEEP_CHECK_INTERVAL_MS);
  }

  /** Ask what was missed, and reconnect unless a frame, any frame, arrives soon. */
  #probe() {
    this.#catchUp();
    if (this.#requests.some(({ lane, isAwaited }) => lane === CATCH_UP && isAwaited)) {
      this.#probeTimer ||= setTimeout(() => this.#reconnectLater(), PROBE_TIMEOUT_MS);
    }
  }

  #endProbe() {
    clearTimeout(this.#probeTimer);
    this.#probeTimer = 0;
  }

  /** @param {unknown} error */
  #connectFailed(error) {
    const reason = error instanceof ChatError ? error
      : new ChatError("bad_address", `The backend's address cannot be used: ${messageOf(error)}`);
    // If there is no token, the network may be down. One that has expired may come from a cache.
    if (reason instanceof TokenError) this.#reconnectLater(reason);
    else this.#stop({ name: "offline", error: reason });
  }

  /** @param {State} state */
  #stop(state) {
    this.#isWanted = false;
    this.#platform.abort();
    clearInterval(this.#sleepTimer);
    this.#close();
    this.#setState(state);
  }

  /** Return the address, and the sub-protocols, which hold the token: addresses are logged. */
  async #address() {
    const url = new URL(this.#url);
    const token = await this.#currentToken();
    // Also with a token: the backend refuses a userId that is not the token's, so the outbox of one
    // user is never sent as another's.
    if (this.#userId || !token) {
      const userId = this.#userId ?? "";
      if (!USER_ID.test(userId)) {
        throw new ChatError(
          "bad_user_id",
          "A user id is 1 to 128 of A-Z a-z 0-9 . _ @ + = : | - ' ~ and nothing else.",
        );
      }
      url.searchParams.set("userId", userId);
    }
    url.searchParams.set("since", String(this.#since));
    return { address: url.href, protocols: token ? ["bearer", token] : [] };
  }

  async #currentToken() {
    if (typeof this.#token !== "function") {
      if (this.#token) requireUsableToken(this.#token);
      return this.#token;
    }
    return this.#askForToken(this.#token);
  }

  /** @param {() => string | Promise<string>} getToken */
  async #askForToken(getToken) {
    /** @type {string} */
    let token;
    try {
      token = await getToken();
    } catch (error) {
      if (error instanceof ChatError) throw error;
      throw new TokenError("no_token", messageOf(error));
    }
    if (token) requireUsableToken(token, TokenError);
    return token;
  }

  #onOpen() {
    clearTimeout(this.#connectTimer);
    this.#openedAt = Date.now();
    this.#newMessages = 0;
    this.#hasAskedToCatchUp = false;
    this.#catchUpIn(FIRST_CATCH_UP_DELAY_MS);
    this.#setState({ name: "catching-up" });
    this.#sendNext();
    for (const request of this.#requests) this.#sendRequest(request);
    for (const receipt of this.#sentReceipts.values()) this.#transmitReceipt(receipt);
  }

  /**
   * Close a connection that is or seems to be dead, and connect again after the backoff.
   * @param {ChatError} [error]
   */
  #reconnectLater(error) {
    const wasOpen = this.#isOpen;
    if (wasOpen && Date.now() - this.#openedAt >= STABLE_CONNECTION_MS) this.#failures = 0;
    this.#close();
    const delayMs = backoffMs(this.#failures);
    this.#failures += 1;
    this.#reconnectTimer = setTimeout(() => this.#open(), delayMs);
    const problem = wasOpen ? "lost" : "unreachable";
    this.#setState({ name: "waiting", retryAt: Date.now() + delayMs, problem, error });
  }

  /** Close the socket, and cancel every timer that waits for something from it. */
  #close() {
    const socket = this.#socket;
    this.#socket = null;
    this.#openedAt = 0;
    this.#connectionNumber += 1;
    socket?.close();
    for (const { timer } of this.#inFlight.values()) clearTimeout(timer);
    this.#inFlight.clear();
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#reconnectTimer);
    clearTimeout(this.#catchUpTimer);
    this.#endProbe();
    for (const request of this.#requests) {
      clearTimeout(request.timer);
      request.isAwaited = false;
      if (request.lane !== FILES || !this.#isWanted) this.#rejectRequest(request, disconnected());
    }
  }

  /** @param {number} delayMs */
  #catchUpIn(delayMs) {
    clearTimeout(this.#catchUpTimer);
    this.#catchUpTimer = setTimeout(() => this.#catchUp(), delayMs);
  }

  /**
   * Ask for what was missed, on the open connection. It also keeps the connection alive, and finds
   * out whether it is dead.
   */
  async #catchUp() {
    this.#hasAskedToCatchUp = true;
    this.#catchUpIn(CATCH_UP_INTERVAL_MS);
    if (this.#requests.some(({ lane }) => lane === CATCH_UP)) return;
    /** @param {AnswerFrame} frame */
    const answerIn = (frame) => frame.type === "synced" && frame;
    try {
      await this.#request(CATCH_UP, { action: "getmessages", since: this.#since }, answerIn);
    } catch (error) {
      if (!(error instanceof ChatError) || error.code === "disconnected") return;
      this.#emit("error", error);
      this.#reconnectLater();
    }
  }

  /** @param {State} state */
  #setState(state) {
    this.state = state;
    this.#emit("state", state);
  }

  /**
   * @template {keyof ChatEvents} T
   * @param {T} type
   * @param {ChatEvents[T]} detail
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  // --- frames from the backend -------------------------------------------------------------------

  /** @param {unknown} data */
  #onFrame(data) {
    this.#endProbe();
    if (this.#hasAskedToCatchUp) this.#catchUpIn(CATCH_UP_INTERVAL_MS);
    const frame = parseFrame(data);
    switch (frame?.type) {
      case "message": return this.#onMessage(frame);
      case "messages": return this.#onMessages(frame);
      case "ack": return "messageId" in frame ? this.#onAck(frame) : this.#onSignalAck(frame);
      case "receipt": return this.#onReceipt(frame);
      case "typing": return this.#onTyping(frame);
      case "synced": return this.#onSynced(frame);
      case "upload":
      case "download": return hasFileLink(frame) ? this.#onAnswer(frame) : undefined;
      case "history": return this.#onHistory(frame);
      case "error": return this.#onError(frame);
      case undefined: return this.#onGatewayError(frame?.message);
      default: return undefined; // a newer backend's
    }
  }

  /** @param {Partial<Record<keyof ReceivedMessage, unknown>>} message */
  #onMessage(message) {
    if (!isReceivedMessage(message) || this.#seen.has(message.messageId)) return;
    const item = this.#outbox.get(message.clientMessageId ?? "");
    if (item) {
      // It was stored, and comes back to this device: another connection sent it.
      this.#onStored(item, message);
      return;
    }
    this.#markSeen(message.messageId);
    this.#newMessages += 1;
    removeUnsafeLink(message);
    this.#emit("message", message);
  }

  /** @param {Unchecked<MessagesFrame>} frame */
  #onMessages({ messages }) {
    if (!Array.isArray(messages)) return;
    const number = this.#connectionNumber;
    // Another frame of this catch-up may follow.
    if (!this.#hasAskedToCatchUp) this.#catchUpIn(FIRST_CATCH_UP_DELAY_MS);
    const request = this.#requests.find(({ lane }) => lane === CATCH_UP);
    if (request?.isAwaited) this.#awaitAnswer(request);
    for (const message of messages) {
      if (number !== this.#connectionNumber) return; // the owner's listener has disconnected
      if (isObject(message)) this.#onMissed(message);
    }
    // The second look comes after `synced`.
    if (this.state.name === "connected" && !request) this.#sendReceived();
  }

  /** @param {Partial<Record<keyof ReceivedMessage, unknown>>} message of a catch-up */
  #onMissed(message) {
    if (isReceivedMessage(message) && !this.#seen.has(message.messageId)) {
      const newest = this.#caughtUp.get(message.chatId) ?? 0;
      this.#caughtUp.set(message.chatId, Math.max(newest, message.timestamp));
    }
    this.#onMessage(message);
  }

  /** @param {Unchecked<HistoryFrame>} frame */
  #onHistory(frame) {
    if (!isHistoryFrame(frame)) return;
    // The outbox has a message until its ack comes.
    frame.messages = frame.messages.filter((each) => isObject(each) && isReceivedMessage(each)
      && !this.#outbox.has(each.clientMessageId ?? ""));
    frame.messages.forEach(removeUnsafeLink);
    if (isObject(frame.receipts)) {
      for (const [userId, receipts] of Object.entries(frame.receipts)) {
        if (isObject(receipts)) this.#mergeReceipts(frame.chatId, userId, receipts);
      }
    }
    this.#onAnswer(frame);
  }

  /** @param {Unchecked<SyncedFrame>} frame */
  #onSynced(frame) {
    if (!isSyncedFrame(frame)) return;
    const progress = frame.until - this.#since;
    this.#since = Math.max(this.#since, frame.until);
    const number = this.#connectionNumber;
    this.#onAnswer(frame);
    this.#emit("synced", { ...frame, until: this.#since, newMessages: this.#newMessages });
    if (number !== this.#connectionNumber) return; // the owner's listener has disconnected
    this.#newMessages = 0;
    this.#sendReceived();
    if (frame.complete !== false) {
      if (this.state.name === "catching-up") this.#setState({ name: "connected" });
    } else if (progress > 0) {
      this.#catchUp(); // without a backoff: more messages are waiting
    } else if (progress === 0) {
      this.#reconnectLater();
    } // otherwise another catch-up has come further
  }

  /** @param {Unchecked<AckFrame>} frame */
  #onAck(frame) {
    if (!isAckFrame(frame)) return;
    const item = this.#outbox.get(frame.clientMessageId);
    if (item) this.#onStored(item, frame);
  }

  /**
   * @param {OutboxItem} item
   * @param {Ack} ack
   */
  #onStored(item, ack) {
    // The message may be pushed to another connection of the user, such as this client's next one.
    this.#markSeen(ack.messageId);
    this.#takeAck(item)?.resolve(ack);
    this.#emit("ack", { item, ack });
    this.#removeItem(item);
  }

  /** @param {string} messageId */
  #markSeen(messageId) {
    this.#seen.add(messageId);
    const [oldest] = this.#seen;
    if (this.#seen.size > MAX_SEEN) this.#seen.delete(oldest);
  }

  /** @param {Unchecked<ErrorFrame>} frame */
  #onError(frame) {
    const error = errorIn(frame);
    if (error.code === "unauthorized") {
      this.#reconnectLater(); // the token has expired, or the connection is not known any more
      return;
    }
    if (String(frame.clientMessageId).startsWith(SIGNAL_ID)) {
      this.#onSignalError(error, frame.clientMessageId);
      return;
    }
    if (frame.action === "sendfile" || frame.action === "getmessages") {
      this.#onRequestError(error, frame.action, frame.clientMessageId);
      return;
    }
    // If it names a message that is not in the outbox, it is late, and concerns no other message.
    const item = frame.clientMessageId === undefined
      ? this.#onlyItemInFlight() : this.#outbox.get(String(frame.clientMessageId));
    if (frame.action !== "sendmessage" || !item) {
      this.#emit("error", error);
      return;
    }
    const { code, message, requestId } = error;
    item.error = { code, message, requestId };
    if (isTransient(error)) {
      this.#resendLater(item, error.retryAfterMs);
    } else {
      item.status = "refused";
      this.#clearInFlight(item);
      this.#rejectAck(item, error);
    }
    this.#emit("outbox", item);
    this.#sendNext();
  }

  /**
   * Resend everything that is in flight: API Gateway's error does not say which frame failed, and a
   * resend is safe.
   * @param {unknown} message
   */
  #onGatewayError(message) {
    if (typeof message !== "string") return;
    for (const { item } of [...this.#inFlight.values()]) {
      item.error = { code: "gateway", message };
      this.#emit("outbox", item);
      this.#resendLater(item);
    }
    for (const request of this.#requests.filter(({ isAwaited }) => isAwaited)) {
      this.#retryRequest(request, new ChatError("gateway", message));
    }
  }

  // --- messages to the backend -------------------------------------------------------------------

  /**
   * A message that was sent and is not acknowledged.
   * @typedef {object} InFlight
   * @property {OutboxItem} item
   * @property {number} timer
   * @property {number} timeouts how many times there was no answer
   * @property {number} failures how many times the answer was an error
   */

  /**
   * @typedef {object} PromiseOfAck
   * @property {(ack: Ack) => void} resolve
   * @property {(error: ChatError) => void} reject
   */

  /**
   * @param {OutboxItem} item gets a promise of its ack, unless it has one that is pending
   * @returns {SentItem}
   */
  #promiseAck(item) {
    if (!this.#acks.has(item.clientMessageId)) {
      /** @type {Promise<Ack>} */
      const promise = new Promise((resolve, reject) => {
        this.#acks.set(item.clientMessageId, { resolve, reject });
      });
      promise.catch(() => {}); // for those that do not use it
      Object.defineProperty(item, "ack", { value: promise, configurable: true });
    }
    return /** @type {SentItem} */ (item);
  }

  /** @param {OutboxItem} item */
  #takeAck({ clientMessageId }) {
    const ack = this.#acks.get(clientMessageId);
    this.#acks.delete(clientMessageId);
    return ack;
  }

  /**
   * @param {OutboxItem} item
   * @param {ChatError} error
   */
  #rejectAck(item, error) {
    this.#takeAck(item)?.reject(error);
  }

  /** Send the first message of each chat without one in flight, so that none overtakes another. */
  #sendNext() {
    if (!this.#isOpen) return;
    for (const item of this.#outbox.values()) {
      if (item.status === "queued" && !this.#inFlight.has(item.chatId)) {
        const inFlight = { item, timer: 0, timeouts: 0, failures: 0 };
        this.#inFlight.set(item.chatId, inFlight);
        this.#transmit(inFlight);
      }
    }
  }

  /** @param {InFlight} inFlight */
  #transmit(inFlight) {
    this.#socket?.send(JSON.stringify(sendMessageFrame(inFlight.item)));
    inFlight.timer = setTimeout(() => {
      inFlight.timeouts += 1;
      if (inFlight.timeouts === 2) this.#reconnectLater();
      else this.#transmit(inFlight);
    }, RESPONSE_TIMEOUT_MS);
  }

  /**
   * @param {OutboxItem} item
   * @param {number} [retryAfterMs]
   */
  #resendLater(item, retryAfterMs = 0) {
    const inFlight = this.#inFlight.get(item.chatId);
    if (inFlight?.item !== item) return; // the error is of an earlier attempt
    clearTimeout(inFlight.timer);
    const delayMs = Math.max(retryAfterMs, backoffMs(inFlight.failures));
    inFlight.failures += 1;
    inFlight.timer = setTimeout(() => this.#transmit(inFlight), delayMs);
  }

  #onlyItemInFlight() {
    const [first, ...others] = this.#inFlight.values();
    return first && others.length === 0 ? first.item : undefined;
  }

  /** @param {OutboxItem} item */
  #removeItem(item) {
    this.#outbox.delete(item.clientMessageId);
    this.#clearInFlight(item);
    this.#sendNext();
  }

  /** @param {OutboxItem} item */
  #clearInFlight(item) {
    const inFlight = this.#inFlight.get(item.chatId);
    if (inFlight?.item !== item) return;
    clearTimeout(inFlight.timer);
    this.#inFlight.delete(item.chatId);
  }

  // --- receipts and typing -----------------------------------------------------------------------

  /**
   * @typedef {object} SentReceipt
   * @property {"received" | "read"} kind
   * @property {string} chatId
   * @property {number} timestamp
   * @property {string} id its `clientMessageId`, which an error repeats
   * @property {boolean} isDone whether it is acknowledged or refused; otherwise the next connection
   *   sends it again
   */

  /** Send that what a catch-up brought is received, once for each chat. */
  #sendReceived() {
    for (const [chatId, timestamp] of this.#caughtUp) this.markReceived(chatId, timestamp);
    this.#caughtUp.clear();
  }

  /**
   * @param {"received" | "read"} kind
   * @param {string} chatId
   * @param {number} timestamp
   */
  #sendReceipt(kind, chatId, timestamp) {
    if (this.#signals[kind] === false || this.#hasSentReceipt(kind, chatId, timestamp)) return;
    const receipt = { kind, chatId, timestamp, id: SIGNAL_ID + newId(), isDone: false };
    this.#sentReceipts.set(`${kind} ${chatId}`, receipt);
    this.#transmitReceipt(receipt);
  }

  /**
   * Return whether a receipt is sent already, from here or another device. What was read was
   * received, too.
   * @param {"received" | "read"} kind
   * @param {string} chatId
   * @param {number} timestamp
   */
  #hasSentReceipt(kind, chatId, timestamp) {
    const known = this.#receipts.get(chatId)?.get(this.#userId ?? "")?.[kind] ?? 0;
    const kinds = kind === "read" ? ["read"] : ["received", "read"];
    const sent = kinds.map((each) => this.#sentReceipts.get(`${each} ${chatId}`)?.timestamp ?? 0);
    return Math.max(known, ...sent) >= timestamp;
  }

  /** @param {SentReceipt} receipt is sent unless it is done, or there is no connection */
  #transmitReceipt({ kind, chatId, timestamp, id, isDone }) {
    if (!this.#isOpen || isDone || this.#signals[kind] === false) return;
    this.#transmitSignal({
      action: "sendmessage", chatId, [kind]: timestamp, clientMessageId: id,
    });
  }

  /** @param {SignalFrame} frame */
  #transmitSignal(frame) {
    this.#socket?.send(JSON.stringify(frame));
  }

  /** @param {Unchecked<SignalAckFrame>} frame */
  #onSignalAck(frame) {
    for (const kind of /** @type {const} */ (["received", "read"])) {
      const receipt = this.#sentReceipts.get(`${kind} ${frame.chatId}`);
      if (receipt && Number(frame[kind]) >= receipt.timestamp) receipt.isDone = true;
    }
  }

  /**
   * @param {ChatError} error
   * @param {unknown} id
   */
  #onSignalError(error, id) {
    if (isTransient(error)) return; // the next connection sends it again
    for (const receipt of this.#sentReceipts.values()) {
      if (receipt.id === id) receipt.isDone = true;
    }
  }

  /** @param {Unchecked<ReceiptFrame>} frame */
  #onReceipt({ chatId, userId, ...receipts }) {
    if (typeof chatId === "string" && typeof userId === "string") {
      this.#mergeReceipts(chatId, userId, receipts);
    }
  }

  /**
   * Keep the greatest times of a user, because receipts come in any order.
   * @param {string} chatId
   * @param {string} userId
   * @param {{received?: unknown, read?: unknown}} receipts
   */
  #mergeReceipts(chatId, userId, { received, read }) {
    const ofChat = this.#receipts.get(chatId) ?? new Map();
    this.#receipts.set(chatId, ofChat);
    const known = ofChat.get(userId) ?? {};
    const merged = { received: known.received ?? 0, read: known.read ?? 0 };
    if (isTimestamp(read)) merged.read = Math.max(merged.read, read);
    if (isTimestamp(received)) merged.received = Math.max(merged.received, received);
    merged.received = Math.max(merged.received, merged.read); // what was read was received
    ofChat.set(userId, merged);
    if (merged.received > (known.received ?? 0) || merged.read > (known.read ?? 0)) {
      this.#emit("receipt", { chatId, userId, ...merged });
    }
  }

  /** @param {Unchecked<TypingFrame>} frame */
  #onTyping({ chatId, userId }) {
    if (typeof chatId === "string" && typeof userId === "string") {
      this.#emit("typing", { chatId, userId });
    }
  }

  // --- requests that one frame answers -----------------------------------------------------------

  /**
   * @typedef {object} Request
   * @property {string} lane what it is about. Of each lane one request at a time is sent, because
   *   answers carry no id
   * @property {"sendfile" | "getmessages"} action
   * @property {string} frame to send
   * @property {string} id its `clientMessageId`, which an error repeats
   * @property {(frame: AnswerFrame) => boolean} resolve returns whether the frame is its answer
   * @property {(error: Error) => void} reject
   * @property {() => void} release stops the deadline, and listening to its AbortSignal
   * @property {number} failures
   * @property {ChatError} [error] the last one
   * @property {boolean} isAwaited whether it is sent, and an answer is expected
   * @property {number} timer
   */

  /**
   * @template {AnswerFrame} Answer
   * @param {string} lane
   * @param {UploadRequest | DownloadRequest | HistoryRequest | CatchUpRequest} request
   * @param {(frame: AnswerFrame) => Answer | false} answerIn returns the frame if it is the answer
   * @param {AbortSignal} [signal]
   * @returns {Promise<Answer>}
   */
  #request(lane, request, answerIn, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (!this.#isWanted) throw disconnected();
      const id = newId();
      const frame = { ...request, clientMessageId: id };
      requireFrameSize(frame);
      /** @type {Request} */
      const pending = {
        lane, action: request.action, frame: JSON.stringify(frame), id, reject, failures: 0,
        isAwaited: false, timer: 0,
        resolve: (received) => {
          const answer = answerIn(received);
          if (answer) resolve(answer);
          return Boolean(answer);
        },
        release: () => {},
      };
      const deadline = setTimeout(() => {
        const error = this.#isOpen ? pending.error ?? noAnswer() : disconnected();
        this.#rejectRequest(pending, error);
      }, REQUEST_TIMEOUT_MS);
      const onAbort = () => this.#rejectRequest(pending, signal?.reason);
      signal?.addEventListener("abort", onAbort);
      pending.release = () => {
        clearTimeout(deadline);
        signal?.removeEventListener("abort", onAbort);
      };
      this.#requests.push(pending);
      this.#sendRequest(pending);
    });
  }

  /** @param {Request} request is sent unless another of its lane comes before it */
  #sendRequest(request) {
    if (!this.#isOpen || request.isAwaited || !this.#isFirst(request)) return;
    this.#socket?.send(request.frame);
    request.isAwaited = true;
    this.#awaitAnswer(request);
  }

  /** @param {Request} request */
  #isFirst(request) {
    return request === this.#requests.find(({ lane }) => lane === request.lane);
  }

  /** @param {Request} request */
  #awaitAnswer(request) {
    clearTimeout(request.timer);
    request.timer = setTimeout(() => {
      if (request.lane === FILES) {
        this.#retryRequest(request, noAnswer());
      } else {
        this.#reconnectLater(); // a late answer would look like that of the next request
      }
    }, RESPONSE_TIMEOUT_MS);
  }

  /**
   * @param {Request} request
   * @param {ChatError} error
   */
  #retryRequest(request, error) {
    clearTimeout(request.timer);
    request.isAwaited = false;
    request.failures += 1;
    request.error = error;
    if (request.failures === MAX_ATTEMPTS) {
      this.#rejectRequest(request, error);
      return;
    }
    const delayMs = Math.max(error.retryAfterMs ?? 0, backoffMs(request.failures - 1));
    request.timer = setTimeout(() => this.#sendRequest(request), delayMs);
  }

  /** @param {AnswerFrame} frame */
  #onAnswer(frame) {
    const request = this.#requests.find((each) => this.#isFirst(each) && each.resolve(frame));
    if (request) this.#removeRequest(request);
  }

  /**
   * @param {ChatError} error
   * @param {"sendfile" | "getmessages"} action
   * @param {unknown} id of the request, if the error names it
   */
  #onRequestError(error, action, id) {
    const request = this.#requests.find(
      (each) => each.isAwaited && each.action === action && (!id || each.id === id));
    if (!request) return;
    if (isTransient(error)) {
      this.#retryRequest(request, error);
    } else {
      this.#rejectRequest(request, error);
    }
  }

  /**
   * @param {Request} request
   * @param {Error} error
   */
  #rejectRequest(request, error) {
    request.reject(error);
    this.#removeRequest(request);
  }

  /** @param {Request} request */
  #removeRequest(request) {
    const wasFirst = this.#isFirst(request);
    clearTimeout(request.timer);
    request.release();
    this.#requests = this.#requests.filter((each) => each !== request);
    const next = this.#requests.find(({ lane }) => lane === request.lane);
    if (wasFirst && next) this.#sendRequest(next);
  }
}

/**
 * @param {OutboxItem} item
 * @returns {SendMessageFrame}
 */
function sendMessageFrame({ chatId, text, fileKey, clientMessageId }) {
  return { action: "sendmessage", chatId, text, fileKey, clientMessageId };
}

/**
 * Raise an error if a frame is larger than API Gateway takes.
 * @param {object} frame
 * @throws {ChatError}
 */
function requireFrameSize(frame) {
  if (new TextEncoder().encode(JSON.stringify(frame)).length > MAX_FRAME_BYTES) {
    throw new ChatError("too_large", `It needs more than the ${MAX_FRAME_BYTES} bytes of a frame.`);
  }
}

/**
 * Return whether the same frame may succeed later.
 * @param {ChatError} error
 */
function isTransient({ code }) {
  return code === "unavailable" || code === "internal" || code === "gateway";
}

/**
 * Return the delay before the next attempt: exponential backoff with jitter, so that clients do not
 * all come back at the same moment.
 * @param {number} failures how many attempts have failed before the last one
 */
function backoffMs(failures) {
  const maxMs = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** failures);
  return maxMs * (0.5 + Math.random() / 2);
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    let timer = 0;
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * Parse a frame; return null if it is not JSON, as the empty frames that two-way routes may send.
 * @param {unknown} data
 * @returns {Unchecked | null}
 */
function parseFrame(data) {
  try {
    const frame = JSON.parse(String(data));
    return typeof frame === "object" ? frame : null;
  } catch {
    return null;
  }
}

/**
 * Return whether an object that was parsed from a frame is a message that can be shown.
 * @param {Partial<Record<keyof ReceivedMessage, unknown>>} value
 * @returns {value is ReceivedMessage}
 */
function isReceivedMessage(value) {
  const { messageId, chatId, senderId, timestamp, text, fileKey, fileName, contentType, erased } =
    value;
  return (
    typeof messageId === "string" && typeof chatId === "string" && typeof senderId === "string" &&
    isTimestamp(timestamp) &&
    [text, fileKey, fileName, contentType].every(
      (field) => field === undefined || typeof field === "string") &&
    (typeof text === "string" || typeof fileKey === "string" || erased === true)
  );
}

/**
 * Return whether a frame is a page of a chat, whose messages may be malformed.
 * @param {Unchecked<HistoryFrame>} frame
 * @returns {frame is HistoryFrame}
 */
function isHistoryFrame(frame) {
  const { chatId, messages, more, before } = frame;
  return typeof chatId === "string" && Array.isArray(messages) && (!more || isTimestamp(before));
}

/** @param {ReceivedMessage} message */
function removeUnsafeLink(message) {
  if (!isWebLink(message.fileUrl)) delete message.fileUrl;
}

/**
 * @param {unknown} value
 * @returns {value is object}
 */
function isObject(value) {
  return typeof value === "object" && value !== null;
}

/**
 * @param {Unchecked<SyncedFrame>} frame
 * @returns {frame is SyncedFrame}
 */
function isSyncedFrame(frame) {
  return isInteger(frame.until) && frame.until >= 0;
}

/**
 * @param {Unchecked<AckFrame>} frame
 * @returns {frame is AckFrame}
 */
function isAckFrame(frame) {
  return typeof frame.clientMessageId === "string" && typeof frame.messageId === "string"
    && isTimestamp(frame.timestamp);
}

/**
 * @param {Unchecked<FileFrame>} frame
 * @returns {frame is FileFrame}
 */
function hasFileLink(frame) {
  const link = frame.type === "upload" ? frame.uploadUrl : frame.fileUrl;
  return typeof frame.fileKey === "string" && isWebLink(link);
}

/** @param {Unchecked<ErrorFrame>} frame */
function errorIn({ code, message, requestId, retryAfterMs }) {
  return new ChatError(String(code), String(message ?? ""), {
    requestId: typeof requestId === "string" ? requestId : undefined,
    retryAfterMs: typeof retryAfterMs === "number" ? retryAfterMs : undefined,
  });
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
function isInteger(value) {
  return Number.isSafeInteger(value);
}

/**
 * Return whether a value is a time in milliseconds since 1970 that a Date can hold.
 * @param {unknown} value
 * @returns {value is number}
 */
export function isTimestamp(value) {
  return isInteger(value) && value >= 0 && value <= 8.64e15;
}

/**
 * Return whether a link may be followed: one with the scheme `javascript:`, for example, may not.
 * @param {unknown} link
 */
function isWebLink(link) {
  try {
    return ["http:", "https:"].includes(new URL(String(link)).protocol);
  } catch {
    return false;
  }
}

/** @param {unknown} error anything that was thrown */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * PUT a file to its upload link.
 * @param {UploadFrame} link
 * @param {Blob} file
 * @param {(fraction: number) => void} onProgress
 * @param {AbortSignal} [signal]
 * @returns {Promise<number>} the status; 0 if there was no answer, or no progress any more
 */
async function putFile(link, file, onProgress, signal) {
  signal?.throwIfAborted();
  const put = new AbortController();
  const abort = () => put.abort();
  let timer = 0;
  /** @param {number} delayMs */
  const abortIn = (delayMs) => {
    clearTimeout(timer);
    timer = setTimeout(abort, delayMs);
  };
  signal?.addEventListener("abort", abort);
  try {
    abortIn(UPLOAD_STALL_TIMEOUT_MS);
    if (globalThis.XMLHttpRequest) {
      return await putWithProgress(link, file, (fraction) => {
        abortIn(UPLOAD_STALL_TIMEOUT_MS);
        onProgress(fraction);
      }, put.signal);
    }
    abortIn(UPLOAD_STALL_TIMEOUT_MS + file.size / MIN_UPLOAD_BYTES_PER_MS);
    const { method, uploadUrl, headers } = link;
    const response = await fetch(uploadUrl, { method, headers, body: file, signal: put.signal });
    await response.body?.cancel();
    if (response.ok) onProgress(1);
    return response.status;
  } catch {
    signal?.throwIfAborted();
    return 0;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * PUT a file with XMLHttpRequest: fetch() does not report the progress of an upload.
 * @param {UploadFrame} link
 * @param {Blob} file
 * @param {(fraction: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<number>} the status; it is rejected if there was no answer
 */
function putWithProgress({ method, uploadUrl, headers }, file, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, uploadUrl);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded / total));
    request.addEventListener("load", () => resolve(request.status));
    request.addEventListener("error", reject);
    request.addEventListener("abort", reject);
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
