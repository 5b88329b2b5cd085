/**
 * Store in this browser's localStorage what a reload must not lose: the outbox, drafts, `until`,
 * the user's chats with how far each is read, which messages were delivered on arrival, which
 * signals the user turned off, and which database the backend had. The backend has the messages.
 *
 * Each item and each chat has a separate key, so that two tabs of one user do not overwrite each
 * other. Tokens are never stored. Values under these keys that have another form are ignored.
 */

import { ChatError, isTimestamp } from "./protocol.js";

/** @typedef {import("./protocol.js").OutboxItem} OutboxItem */
/** @typedef {import("./protocol.js").SignalName} SignalName */

// More than this of a chat are not remembered: the partner sends no receipts.
const MAX_DELIVERED = 500;
const ROOT = "serverless-chat/";

/** The stored data of one user of one backend. */
export class ChatStorage {
  #storage;
  #prefix;
  #onFull;

  /**
   * @param {string} backend the URL of the stage
   * @param {string} userId
   * @param {() => void} onFull is called when something could not be stored
   * @throws {ChatError} if the browser lets the page store nothing
   */
  constructor(backend, userId, onFull) {
    this.#storage = localStorageOrThrow();
    this.#prefix = `${ROOT}${encodeURIComponent(backend)}/${encodeURIComponent(userId)}/`;
    this.#onFull = onFull;
  }

  /** The last `until`; 0 if there is none. */
  get until() {
    return timestampIn(this.#get("until"));
  }

  set until(until) {
    this.#write("until", String(until));
  }

  /**
   * Return the timestamp up to which each known chat is read, by chat id; 0 if nothing is.
   * @returns {Map<string, number>}
   */
  chats() {
    const prefix = `${this.#prefix}chat/`;
    return new Map(keysUnder(this.#storage, prefix).map((key) => {
      const chatId = decodeURIComponent(key.slice(prefix.length));
      return [chatId, this.readUntil(chatId)];
    }));
  }

  /**
   * Store that a chat is read up to a timestamp; 0 if nothing of it is read.
   * @param {string} chatId
   * @param {number} timestamp
   */
  storeRead(chatId, timestamp) {
    const name = nameOf("chat", chatId);
    if (timestamp > this.readUntil(chatId) || this.#get(name) === null) {
      this.#write(name, String(timestamp));
    }
  }

  /**
   * Return the timestamps of the user's messages in a chat that reached a device of the partner
   * when they were sent. Only the ack contains this, not the history.
   * @param {string} chatId
   * @returns {Set<number>}
   */
  delivered(chatId) {
    const text = this.#get(nameOf("delivered", chatId)) ?? "";
    return new Set(text.split(" ").map(timestampIn).filter(Boolean));
  }

  /**
   * Store that a message was delivered when it was sent.
   * @param {string} chatId
   * @param {number} timestamp
   */
  storeDelivered(chatId, timestamp) {
    this.#writeDelivered(chatId, [...this.delivered(chatId), timestamp]);
  }

  /**
   * Delete which messages were delivered, up to the partner's receipt, which says the same.
   * @param {string} chatId
   * @param {number} receivedUntil
   */
  forgetDelivered(chatId, receivedUntil) {
    const known = this.delivered(chatId);
    const left = [...known].filter((timestamp) => timestamp > receivedUntil);
    if (left.length < known.size) this.#writeDelivered(chatId, left);
  }

  /**
   * Return the text that is written in a chat and not sent; "" if there is none.
   * @param {string} chatId
   */
  draft(chatId) {
    return this.#get(nameOf("draft", chatId)) ?? "";
  }

  /**
   * Store the text that is written in a chat; delete it if it is empty.
   * @param {string} chatId
   * @param {string} text
   */
  storeDraft(chatId, text) {
    const name = nameOf("draft", chatId);
    if (text) this.#write(name, text);
    else this.#storage.removeItem(this.#prefix + name);
  }

  /** Return the ids of the chats that have a draft. */
  draftedChats() {
    const prefix = `${this.#prefix}draft/`;
    return keysUnder(this.#storage, prefix)
      .map((key) => decodeURIComponent(key.slice(prefix.length)));
  }

  /**
   * Call a function when another tab changes how far this user's chats are read.
   * @param {() => void} onChange
   * @param {AbortSignal} signal
   */
  onReadElsewhere(onChange, signal) {
    globalThis.addEventListener("storage", ({ key }) => {
      if (key?.startsWith(`${this.#prefix}chat/`)) onChange();
    }, { signal });
  }

  /**
   * Return up to which timestamp a chat is read; 0 if nothing is.
   * @param {string} chatId
   */
  readUntil(chatId) {
    return timestampIn(this.#get(nameOf("chat", chatId)));
  }

  /**
   * Return whether a signal is sent.
   * @param {SignalName} signal
   */
  sends(signal) {
    return this.#get(nameOf("signal", signal)) !== "off";
  }

  /**
   * Store whether a signal is sent.
   * @param {SignalName} signal
   * @param {boolean} isOn
   */
  storeSends(signal, isOn) {
    this.#write(nameOf("signal", signal), isOn ? "on" : "off");
  }

  /** Return the outbox, oldest first. */
  outbox() {
    return this.#readItems()
      .sort((one, other) => one.createdAt - other.createdAt);
  }

  /**
   * Store an item of the outbox.
   * @param {OutboxItem} item
   */
  storeItem(item) {
    this.#write(nameOf("outbox", item.clientMessageId), JSON.stringify(item));
  }

  /**
   * Delete an item of the outbox.
   * @param {string} clientMessageId
   */
  removeItem(clientMessageId) {
    this.#storage.removeItem(this.#prefix + nameOf("outbox", clientMessageId));
  }

  /** Return all valid items of the outbox, and delete those that are not JSON. */
  #readItems() {
    const found = [];
    for (const key of keysUnder(this.#storage, `${this.#prefix}outbox/`)) {
      try {
        const value = JSON.parse(this.#storage.getItem(key) ?? "");
        if (isObject(value) && isOutboxItem(value)) found.push(value);
      } catch {
        this.#storage.removeItem(key);
      }
    }
    return found;
  }

  /**
   * @param {string} chatId
   * @param {number[]} timestamps
   */
  #writeDelivered(chatId, timestamps) {
    const name = nameOf("delivered", chatId);
    const kept = timestamps.slice(-MAX_DELIVERED);
    if (kept.length > 0) this.#write(name, kept.join(" "));
    else this.#storage.removeItem(this.#prefix + name);
  }

  /** @param {string} name */
  #get(name) {
    return this.#storage.getItem(this.#prefix + name);
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  #write(name, value) {
    try {
      this.#storage.setItem(this.#prefix + name, value);
    } catch {
      this.#onFull();
    }
  }
}

/**
 * Delete what is stored of the messages of a backend, if it has another database now. What is not
 * sent yet stays, and which signals the user turned off.
 * @param {string} backend
 * @param {string} databaseId empty if the backend does not tell
 * @returns {boolean} whether anything was deleted
 */
export function forgetOtherDatabase(backend, databaseId) {
  if (!databaseId) return false;
  const storage = localStorageOrThrow();
  const prefix = `${ROOT}${encodeURIComponent(backend)}/`;
  if (storage.getItem(`${prefix}database`) === databaseId) return false;
  const outdated = keysUnder(storage, prefix).filter((key) => {
    const [, kind] = key.slice(prefix.length).split("/");
    return kind === "until" || kind === "chat" || kind === "delivered";
  });
  for (const key of outdated) storage.removeItem(key);
  storage.setItem(`${prefix}database`, databaseId);
  return outdated.length > 0;
}

/**
 * Delete everything that this page stored in this browser, of every user and backend.
 * @throws {ChatError} if the browser lets the page store nothing
 */
export function deleteAllData() {
  const storage = localStorageOrThrow();
  for (const key of keysUnder(storage, ROOT)) storage.removeItem(key);
}

/** Return the browser's localStorage, which throws where a setting of the browser forbids it. */
function localStorageOrThrow() {
  try {
    const storage = globalThis.localStorage;
    storage.getItem(ROOT);
    return storage;
  } catch {
    throw new ChatError(
      "no_storage", "This browser does not let the page store data: allow it to.");
  }
}

/**
 * @param {string} kind
 * @param {string} id
 */
function nameOf(kind, id) {
  return `${kind}/${encodeURIComponent(id)}`;
}

/** @param {string | null} value 0 is returned for one that is no timestamp */
function timestampIn(value) {
  const timestamp = Number(value);
  return isTimestamp(timestamp) ? timestamp : 0;
}

/**
 * A value as it was parsed: its fields may be missing, or of any type.
 * @template T
 * @typedef {Partial<Record<keyof T, unknown>>} Unchecked
 */

/**
 * @param {Unchecked<OutboxItem>} value
 * @returns {value is OutboxItem}
 */
function isOutboxItem(value) {
  const { clientMessageId, chatId, text, fileKey, file, createdAt, status, error } = value;
  return (
    typeof clientMessageId === "string" && typeof chatId === "string" && isTimestamp(createdAt) &&
    (status === "queued" || status === "refused") &&
    [text, fileKey].every((field) => field === undefined || typeof field === "string") &&
    (typeof text === "string" || typeof fileKey === "string") &&
    (file === undefined || (isObject(file) && "name" in file && typeof file.name === "string")) &&
    (error === undefined || isObject(error))
  );
}

/**
 * @param {unknown} value
 * @returns {value is object}
 */
function isObject(value) {
  return typeof value === "object" && value !== null;
}

/**
 * @param {Storage} storage
 * @param {string} prefix
 */
function keysUnder(storage, prefix) {
  return Object.keys(storage).filter((key) => key.startsWith(prefix));
}
