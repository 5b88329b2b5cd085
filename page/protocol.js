/**
 * A client of the chat that loses nothing: one module, without a page, to copy and use.
 *
 *     import { ChatClient, chatIdOf } from "./protocol.js";
 *
 *     const client = new ChatClient({ url: "wss://….amazonaws.com/prod", userId: "user123" });
 *     client.addEventListener("message", ({ detail }) => console.log(detail.senderId, detail.text));
 *     client.connect();
 *     client.send({ chatId: chatIdOf("user123", "user456"), text: "Hello!" });
 *
 * It keeps the rules of docs/protocol.md for a client that never loses a message: every message
 * has an id of its own and is sent again until it is acknowledged; `since` is the `until` of the last
 * `synced`; messages are known by their `messageId`. What has to outlive a reload is for its owner to
 * keep (`storage.js` does): the events tell it in time, and the options take it back.
 *
 * | event     | detail                                                                            |
 * | --------- | --------------------------------------------------------------------------------- |
 * | `state`   | {@link State}: what the connection is doing                                       |
 * | `message` | the frame: somebody wrote, or you did elsewhere. Each `messageId` once             |
 * | `outbox`  | {@link Item}: it is new, or was refused, or tries again. Keep it *now*: it is sent next |
 * | `ack`     | `{item, ack}`: it is stored, and no longer in the outbox                           |
 * | `synced`  | the frame, and `fresh`: how many messages were new since connecting. Keep `until`  |
 * | `error`   | {@link ChatError} that belongs to no message                                      |
 */

/** The form of a user id. */
export const USER_ID = /^[A-Za-z0-9._@+=:|'~-]{1,128}$/;

/** Texts may have so many characters (code points). */
export const LONGEST_TEXT = 4096;

// API Gateway closes what is silent for 10 minutes, and does not say whether its own pings count.
const KEEP_ALIVE_MS = 4 * 60_000;
// A frame of no known action reaches no function: API Gateway itself answers "Forbidden".
const KEEP_ALIVE = JSON.stringify({ action: "ping" });
const ANSWER_MS = 12_000;
// A black hole in the network answers no handshake, and says nothing either.
const CONNECT_MS = 60_000;
// So long after the last message of a replay; and, since new ones come in between, at most so long.
const CATCH_UP_MS = 60_000;
const LONGEST_CATCH_UP_MS = 5 * 60_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
// A connection that lasts so long was a good one: the next pause is the shortest again.
const STABLE_MS = 60_000;
const MOST_ATTEMPTS = 6;
// API Gateway closes the connection on a larger frame, and would do so at each attempt.
const LARGEST_FRAME = 32 * 1024;
// The clocks of the issuer, the backend and this machine differ.
const CLOCK_SKEW_MS = 5 * 60_000;

/** @typedef {"offline" | "connecting" | "catching-up" | "connected" | "waiting"} StateName */

/**
 * What the connection is doing.
 * @typedef {object} State
 * @property {StateName} name
 * @property {number} [retryAt] when it connects again, if it waits; milliseconds since 1970
 * @property {"lost" | "unreachable"} [problem] why it waits: it was open, or it never opened. A
 *   browser does not tell a refused handshake from a backend that is not there.
 * @property {ChatError} [error] why it has given up; or, while it waits, why there was no token
 */

/**
 * A message that is not acknowledged yet.
 * @typedef {object} Item
 * @property {string} clientMessageId
 * @property {string} chatId
 * @property {string} [text]
 * @property {string} [fileKey]
 * @property {object} [file] whatever you like to remember of its file; it is not sent
 * @property {number} createdAt milliseconds since 1970
 * @property {"queued" | "refused"} status
 * @property {{code: string, message: string, requestId?: string}} [error] the last that was said
 *   of it. While it is `queued`, it is tried again.
 */

/** What went wrong: a code of the protocol, or one of this module's own, and a sentence. */
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

/** Make an id. `crypto.randomUUID` would not be there on a page that came by plain HTTP. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Give the id of the chat of two users. */
export function chatIdOf(one, other) {
  return [one, other].sort().join("#");
}

/**
 * Read what a token says, without verifying it: that is the backend's to do.
 * @param {string} token
 * @returns {Record<string, unknown> | null} its claims; null if it is no token
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

/** One user's connection to the chat, for as long as it is wanted. */
export class ChatClient extends EventTarget {
  #url;
  #userId;
  #token;
  #since;
  #seen;
  /** @type {Map<string, Item>} in the order in which they are sent */
  #outbox = new Map();
  /** @type {Map<string, {id: string, timer: number, unanswered: number, failures: number}>} */
  #underWay = new Map();
  /** @type {Question[]} one after the other: their answers carry no id. The first is under way. */
  #questions = [];
  #WebSocket;
  #socket = null;
  #attempt = 0;
  #wanted = false;
  #openedAt = null;
  #failures = 0;
  #fresh = 0;
  #lastCreatedAt = 0;
  #connecting;
  #reconnecting;
  #keepAlive;
  #catchingUp;

  /** @type {State} */
  state = { name: "offline" };

  /**
   * @param {object} options
   * @param {string} options.url of the stage: `wss://…/prod`
   * @param {string} [options.userId] who you are. It may be left out where there is a token; beside
   *   one that is somebody else's the backend refuses it, so that no outbox is sent as another.
   * @param {string | (() => string | Promise<string>)} [options.token] what proves it, where the
   *   backend does not take your word for it. A function is asked before each connection, and again
   *   after it has thrown; a {@link ChatError} of its own ends the client's attempts.
   * @param {number} [options.since] the last `until` you kept; 0 the first time
   * @param {Iterable<string>} [options.seen] the ids of messages you have
   * @param {Iterable<Item>} [options.outbox] the items you kept
   * @param {typeof WebSocket} [options.WebSocket]
   */
  constructor({ url, userId, token, since = 0, seen = [], outbox = [], ...more }) {
    super();
    this.#url = url;
    this.#userId = userId;
    this.#token = token;
    this.#since = since;
    this.#seen = new Set(seen);
    this.#WebSocket = more.WebSocket ?? globalThis.WebSocket;
    for (const item of outbox) {
      this.#outbox.set(item.clientMessageId, item);
      this.#lastCreatedAt = Math.max(this.#lastCreatedAt, item.createdAt);
    }
  }

  // --- what its owner asks for -----------------------------------------------------------------

  /** Connect, and stay so until `disconnect`. */
  connect() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#failures = 0;
    this.#open();
  }

  /** End the connection. What is not acknowledged waits. */
  disconnect() {
    this.#wanted = false;
    this.#leave();
    this.#become({ name: "offline" });
  }

  /** See at once whether the connection is still there; call it when the network or the user is back. */
  wake() {
    if (!this.#wanted) return;
    if (this.state.name === "waiting") this.#open();
    else if (this.#isOpen) this.#ping();
  }

  /**
   * Send a message, as soon as there is a connection, and until it is acknowledged or refused.
   * @param {{chatId: string, text?: string, fileKey?: string, file?: object}} message
   * @returns {Item}
   * @throws {ChatError} if no frame can hold it
   */
  send({ chatId, text, fileKey, file }) {
    // Later than the one before, whatever the clock says: it is by this that a reload orders them.
    const createdAt = Math.max(Date.now(), this.#lastCreatedAt + 1);
    const item = {
      clientMessageId: newId(), chatId, text, fileKey, file, createdAt, status: "queued",
    };
    refuseTooLarge(frameOf(item));
    this.#lastCreatedAt = createdAt;
    this.#outbox.set(item.clientMessageId, item);
    this.#tell("outbox", item);
    this.#sendNext();
    return item;
  }

  /** Try a refused message once more. */
  retry(clientMessageId) {
    const item = this.#outbox.get(clientMessageId);
    if (!item) return;
    item.status = "queued";
    delete item.error;
    this.#tell("outbox", item);
    this.#sendNext();
  }

  /** Give a message up. One that is under way may have been stored all the same. */
  discard(clientMessageId) {
    const item = this.#outbox.get(clientMessageId);
    if (!item) return;
    this.#finish(item);
  }

  /**
   * Upload a file; then send its key in a message.
   * @param {string} chatId
   * @param {File} file
   * @param {object} [options]
   * @param {string} [options.contentType] where the file does not know
   * @param {(part: number) => void} [options.onProgress] 0 to 1
   * @param {AbortSignal} [options.signal]
   * @returns {Promise<string>} its key
   * @throws {ChatError}
   */
  async upload(chatId, file, { contentType = file.type, onProgress = () => {}, signal } = {}) {
    const question = {
      action: "sendfile", chatId, fileName: file.name, size: file.size,
      contentType: contentType || "application/octet-stream",
    };
    const itsChatId = chatIdOf(...chatId.split("#"));
    const fits = (frame) => frame.type === "upload" && frame.chatId === itsChatId
      && frame.fileKey.endsWith(`/${file.name}`);
    let offer = null;
    let refusals = 0;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
      if (attempt > 0) await pause(pauseAfter(attempt - 1), signal);
      offer ??= await this.#ask(question, fits, signal);
      const status = await put(offer, file, onProgress, signal);
      // 412: a file is there already. It is this one, of which only the answer was lost.
      if ((status >= 200 && status < 300) || status === 412) return offer.fileKey;
      if (status === 400 || status === 403) {
        // The link has run out, or S3 does not take what was announced.
        offer = null;
        refusals += 1;
        if (refusals === 2) break;
      }
    }
    throw new ChatError("upload_failed", "The file did not get through. Try again.");
  }

  /**
   * Ask for a fresh link to a file.
   * @param {string} chatId
   * @param {string} fileKey
   * @param {AbortSignal} [signal]
   * @returns {Promise<{fileUrl: string, fileName: string, contentType: string, size: number}>}
   * @throws {ChatError}
   */
  link(chatId, fileKey, signal) {
    const fits = (frame) => frame.type === "download" && frame.fileKey === fileKey;
    return this.#ask({ action: "sendfile", chatId, fileKey }, fits, signal);
  }

  // --- the connection --------------------------------------------------------------------------

  get #isOpen() {
    return this.#socket !== null && this.#openedAt !== null;
  }

  async #open() {
    this.#leave();
    this.#connecting = setTimeout(() => this.#lost(), CONNECT_MS);
    const attempt = this.#attempt;
    this.#become({ name: "connecting" });
    let socket;
    try {
      const url = await this.#address();
      if (attempt !== this.#attempt) return; // disconnected meanwhile
      socket = new this.#WebSocket(url);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error.code === "no_token") {
        this.#lost(error); // the network is down, for example
        return;
      }
      this.#wanted = false;
      this.#leave();
      const why = error instanceof ChatError ? error
        : new ChatError("bad_address", `The backend's address cannot be used: ${error.message}`);
      this.#become({ name: "offline", error: why });
      return;
    }
    this.#socket = socket;
    const ifCurrent = (act) => (event) => socket === this.#socket && act(event);
    socket.addEventListener("open", ifCurrent(() => this.#opened()));
    socket.addEventListener("message", ifCurrent(({ data }) => this.#received(data)));
    socket.addEventListener("close", ifCurrent(() => this.#lost()));
  }

  async #address() {
    const url = new URL(this.#url);
    const token = await this.#currentToken();
    if (token) {
      const claims = claimsOf(token);
      if (claims === null) {
        throw new ChatError("bad_token", "The token is not of the form of a JSON Web Token.");
      }
      if (typeof claims.exp === "number" && claims.exp * 1000 + CLOCK_SKEW_MS < Date.now()) {
        throw new ChatError("token_expired", "The token has expired: get a new one.");
      }
      url.searchParams.set("token", token);
    }
    if (this.#userId || !token) {
      if (!USER_ID.test(this.#userId ?? "")) {
        throw new ChatError(
          "bad_user_id", "A user id is 1 to 128 of A-Z a-z 0-9 . _ @ + = : | - ' ~ and nothing else.",
        );
      }
      url.searchParams.set("userId", this.#userId);
    }
    url.searchParams.set("since", this.#since);
    return url.href;
  }

  async #currentToken() {
    if (typeof this.#token !== "function") return this.#token;
    try {
      return await this.#token();
    } catch (error) {
      if (error instanceof ChatError) throw error;
      throw new ChatError("no_token", String(error?.message ?? error));
    }
  }

  #opened() {
    clearTimeout(this.#connecting);
    this.#openedAt = Date.now();
    this.#fresh = 0;
    this.#become({ name: "catching-up" });
    this.#stayAlive();
    this.#awaitSynced();
    this.#sendNext();
    this.#askNext();
  }

  /** Drop the connection, which is or seems to be dead, and come back a little later each time. */
  #lost(error) {
    const wasOpen = this.#isOpen;
    if (wasOpen && Date.now() - this.#openedAt >= STABLE_MS) this.#failures = 0;
    this.#leave();
    const pauseMs = pauseAfter(this.#failures);
    this.#failures += 1;
    this.#reconnecting = setTimeout(() => this.#open(), pauseMs);
    const problem = wasOpen ? "lost" : "unreachable";
    this.#become({ name: "waiting", retryAt: Date.now() + pauseMs, problem, error });
  }

  /** Forget the socket, and whatever was awaited of it. */
  #leave() {
    const socket = this.#socket;
    this.#socket = null;
    this.#openedAt = null;
    this.#attempt += 1;
    socket?.close();
    for (const { timer } of this.#underWay.values()) clearTimeout(timer);
    this.#underWay.clear();
    clearTimeout(this.#questions[0]?.timer);
    clearTimeout(this.#connecting);
    clearTimeout(this.#reconnecting);
    clearTimeout(this.#keepAlive);
    clearTimeout(this.#catchingUp);
  }

  #stayAlive() {
    clearTimeout(this.#keepAlive);
    this.#keepAlive = setTimeout(() => this.#ping(), KEEP_ALIVE_MS);
  }

  #ping() {
    this.#socket.send(KEEP_ALIVE);
    clearTimeout(this.#keepAlive);
    this.#keepAlive = setTimeout(() => this.#lost(), ANSWER_MS); // until something comes
  }

  #awaitSynced() {
    clearTimeout(this.#catchingUp);
    const atMostMs = this.#openedAt + LONGEST_CATCH_UP_MS - Date.now();
    this.#catchingUp = setTimeout(() => this.#lost(), Math.min(CATCH_UP_MS, atMostMs));
  }

  #become(state) {
    this.state = state;
    this.#tell("state", state);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  // --- what comes ------------------------------------------------------------------------------

  #received(data) {
    this.#stayAlive();
    const frame = parsed(data);
    switch (frame?.type) {
      case "message": return this.#message(frame);
      case "ack": return this.#acked(frame);
      case "synced": return this.#synced(frame);
      case "upload":
      case "download": return this.#answered(frame);
      case "error": return this.#refused(frame);
      case undefined: return this.#gatewaySays(frame?.message);
      default: return undefined; // a newer backend's
    }
  }

  #message(frame) {
    if (!isMessage(frame)) return;
    if (this.state.name === "catching-up") this.#awaitSynced();
    if (this.#seen.has(frame.messageId)) return;
    this.#seen.add(frame.messageId);
    this.#fresh += 1;
    if (!isWebLink(frame.fileUrl)) delete frame.fileUrl;
    this.#tell("message", frame);
  }

  #synced(frame) {
    if (!Number.isSafeInteger(frame.until) || frame.until < 0) return;
    clearTimeout(this.#catchingUp);
    const isAhead = frame.until > this.#since;
    this.#since = frame.until;
    const attempt = this.#attempt;
    this.#tell("synced", { ...frame, fresh: this.#fresh });
    if (attempt !== this.#attempt) return; // its owner has enough, and has disconnected
    if (frame.complete !== false) {
      if (this.state.name === "catching-up") this.#become({ name: "connected" });
    } else if (isAhead) {
      this.#open(); // at once: more is waiting
    } else {
      this.#lost();
    }
  }

  #acked(frame) {
    const item = this.#outbox.get(frame.clientMessageId);
    if (!item || typeof frame.messageId !== "string" || !isTime(frame.timestamp)) return;
    // It may come back to another connection of the same user, this one's successor for example.
    this.#seen.add(frame.messageId);
    this.#tell("ack", { item, ack: frame });
    this.#finish(item);
  }

  #refused(frame) {
    const error = new ChatError(String(frame.code), String(frame.message ?? ""), frame);
    if (error.code === "unauthorized") {
      this.#lost(); // the backend has forgotten the connection
      return;
    }
    if (frame.action === "sendfile") {
      this.#questionRefused(error, frame.clientMessageId);
      return;
    }
    // One that names a message is late if that is gone, and says nothing of another.
    const item = frame.clientMessageId === undefined
      ? this.#onlyOneUnderWay() : this.#outbox.get(frame.clientMessageId);
    if (frame.action !== "sendmessage" || !item) {
      this.#tell("error", error);
      return;
    }
    const { code, message, requestId } = error;
    item.error = { code, message, requestId };
    if (isPassing(error)) {
      this.#sendAgain(item, error.retryAfterMs);
    } else {
      item.status = "refused";
      this.#release(item);
    }
    this.#tell("outbox", item);
    this.#sendNext();
  }

  /** Take API Gateway's own words, which do not say of what: a resend is safe, so all is sent again. */
  #gatewaySays(words) {
    if (typeof words !== "string" || words === "Forbidden") return; // the answer to a keep-alive
    for (const { id } of [...this.#underWay.values()]) {
      const item = this.#outbox.get(id);
      item.error = { code: "gateway", message: words };
      this.#tell("outbox", item);
      this.#sendAgain(item);
    }
    if (this.#questions[0]?.isAwaited) this.#questionRefused(new ChatError("gateway", words));
  }

  // --- messages, out ---------------------------------------------------------------------------

  /** Send the first message of each chat that has none under way, so that none overtakes another. */
  #sendNext() {
    if (!this.#isOpen) return;
    for (const item of this.#outbox.values()) {
      if (item.status === "queued" && !this.#underWay.has(item.chatId)) {
        const id = item.clientMessageId;
        this.#underWay.set(item.chatId, { id, timer: 0, unanswered: 0, failures: 0 });
        this.#transmit(item);
      }
    }
  }

  #transmit(item) {
    const course = this.#underWay.get(item.chatId);
    this.#socket.send(JSON.stringify(frameOf(item)));
    course.timer = setTimeout(() => {
      course.unanswered += 1;
      if (course.unanswered === 2) this.#lost();
      else this.#transmit(item);
    }, ANSWER_MS);
  }

  #sendAgain(item, retryAfterMs = 0) {
    const course = this.#underWay.get(item.chatId);
    if (course?.id !== item.clientMessageId) return; // of an earlier attempt
    clearTimeout(course.timer);
    const pauseMs = Math.max(retryAfterMs, pauseAfter(course.failures));
    course.failures += 1;
    course.timer = setTimeout(() => this.#transmit(item), pauseMs);
  }

  #onlyOneUnderWay() {
    const [first, ...others] = this.#underWay.values();
    return first && others.length === 0 ? this.#outbox.get(first.id) : undefined;
  }

  #finish(item) {
    this.#outbox.delete(item.clientMessageId);
    this.#release(item);
    this.#sendNext();
  }

  #release(item) {
    const course = this.#underWay.get(item.chatId);
    if (course?.id !== item.clientMessageId) return;
    clearTimeout(course.timer);
    this.#underWay.delete(item.chatId);
  }

  // --- questions about files -------------------------------------------------------------------

  /**
   * @typedef {object} Question
   * @property {object} frame
   * @property {(frame: object) => boolean} fits says whether a frame is its answer
   * @property {(frame: object) => void} resolve
   * @property {(error: Error) => void} reject
   * @property {number} failures
   * @property {boolean} isAwaited whether it is sent, and neither answered nor in a pause
   * @property {number} [timer]
   */

  #ask(frame, fits, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const asked = { ...frame, clientMessageId: newId() }; // which an error repeats
      refuseTooLarge(asked);
      const question = {
        frame: asked, fits, resolve, reject, failures: 0, isAwaited: false,
      };
      signal?.addEventListener("abort", () => this.#settle(question, () => reject(signal.reason)));
      this.#questions.push(question);
      if (this.#questions.length === 1) this.#askNext();
    });
  }

  #askNext() {
    const question = this.#questions[0];
    if (!question || !this.#isOpen) return;
    clearTimeout(question.timer);
    this.#socket.send(JSON.stringify(question.frame));
    question.isAwaited = true;
    question.timer = setTimeout(() => {
      this.#tryAgain(question, new ChatError("no_answer", "The backend does not answer."));
    }, ANSWER_MS);
  }

  #tryAgain(question, error) {
    clearTimeout(question.timer);
    question.isAwaited = false;
    question.failures += 1;
    if (question.failures === MOST_ATTEMPTS) {
      this.#settle(question, () => question.reject(error));
      return;
    }
    const pauseMs = Math.max(error.retryAfterMs ?? 0, pauseAfter(question.failures - 1));
    question.timer = setTimeout(() => this.#askNext(), pauseMs);
  }

  #answered(frame) {
    const question = this.#questions[0];
    const link = frame.type === "upload" ? frame.uploadUrl : frame.fileUrl;
    if (!question || typeof frame.fileKey !== "string" || !question.fits(frame)) return;
    if (isWebLink(link)) this.#settle(question, () => question.resolve(frame));
  }

  #questionRefused(error, clientMessageId) {
    const question = this.#questions[0];
    if (!question) return;
    if (clientMessageId && clientMessageId !== question.frame.clientMessageId) return;
    if (isPassing(error)) this.#tryAgain(question, error);
    else this.#settle(question, () => question.reject(error));
  }

  #settle(question, end) {
    const place = this.#questions.indexOf(question);
    if (place < 0) return;
    clearTimeout(question.timer);
    this.#questions.splice(place, 1);
    end();
    if (place === 0) this.#askNext();
  }
}

function frameOf({ chatId, text, fileKey, clientMessageId }) {
  return { action: "sendmessage", chatId, text, fileKey, clientMessageId };
}

function refuseTooLarge(frame) {
  if (new TextEncoder().encode(JSON.stringify(frame)).length > LARGEST_FRAME) {
    throw new ChatError("too_large", `It needs more than the ${LARGEST_FRAME} bytes of a frame.`);
  }
}

/** Say whether the same frame may succeed later. */
function isPassing({ code }) {
  return code === "unavailable" || code === "internal" || code === "gateway";
}

/** Give a pause that grows with each failure, and differs so that not all come back together. */
function pauseAfter(failures) {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures);
  return longest * (0.5 + Math.random() / 2);
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

function parsed(data) {
  try {
    const frame = JSON.parse(data);
    return typeof frame === "object" ? frame : null;
  } catch {
    return null; // two-way routes may answer with an empty frame
  }
}

/** Say whether a frame, or what was kept of one, is a message that can be shown. */
export function isMessage(frame) {
  return (
    typeof frame.messageId === "string" && typeof frame.chatId === "string" &&
    typeof frame.senderId === "string" && isTime(frame.timestamp) &&
    ["text", "fileKey", "fileName", "contentType"].every((name) =>
      frame[name] === undefined || typeof frame[name] === "string") &&
    (typeof frame.text === "string" || typeof frame.fileKey === "string")
  );
}

/** Say whether a number is milliseconds since 1970, and a Date can hold it. */
export function isTime(value) {
  return Number.isSafeInteger(value) && value >= 0 && value <= 8.64e15;
}

/** Say whether a link may be followed: `javascript:` and the like may not. */
function isWebLink(link) {
  try {
    return ["http:", "https:"].includes(new URL(link).protocol);
  } catch {
    return false;
  }
}

/** PUT a file where and how the backend said; give the status, 0 if there was no answer. */
function put({ method, uploadUrl, headers }, file, onProgress, signal) {
  // Not fetch(), which cannot tell how much has gone up.
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest();
    request.open(method, uploadUrl);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded / total));
    request.addEventListener("load", () => resolve(request.status));
    request.addEventListener("error", () => resolve(0));
    request.addEventListener("abort", () => reject(signal?.reason));
    signal?.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
