/**
 * Store in this browser's localStorage what a reload must not lose: messages, outbox, `until`.
 *
 * Each message has its own key, so that two tabs of one user do not overwrite each other. Links are
 * not stored, because they are secrets and expire; tokens are never stored. Values under these keys
 * that have another form, of another version for example, are ignored.
 */

import { ChatError, isMessage, isTimestamp } from "./protocol.js";

/** @typedef {import("./protocol.js").OutboxItem} OutboxItem */

/**
 * A message, and how the backend acknowledged it.
 * @typedef {import("./protocol.js").Message
 *   & {status?: "stored" | "delivered", duplicate?: boolean}} StoredMessage
 */

const ROOT = "serverless-chat/";
const MAX_MESSAGES = 1000;

/** The stored data of one user of one backend. */
export class ChatStorage {
  #storage;
  #prefix;
  #onFull;
  #hasLostMessage = false;

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
    const until = Number(this.#storage.getItem(`${this.#prefix}until`));
    return Number.isSafeInteger(until) && until >= 0 ? until : 0;
  }

  /** After a message could not be stored, `until` stays, so that a reload catches up on it. */
  set until(until) {
    if (!this.#hasLostMessage) this.#write("until", String(until));
  }

  /** Return the newest messages, oldest first, and delete older ones. */
  messages() {
    const messages = this.#readAll("message/", isStoredMessage)
      .sort((one, other) => one.timestamp - other.timestamp);
    for (const { messageId } of messages.slice(0, -MAX_MESSAGES)) {
      this.#remove("message", messageId);
    }
    return messages.slice(-MAX_MESSAGES);
  }

  /**
   * Store a message; replace one with the same id.
   * @param {StoredMessage & {fileUrl?: string}} message
   */
  storeMessage({ fileUrl: _secret, ...message }) {
    const name = `message/${encodeURIComponent(message.messageId)}`;
    if (!this.#write(name, JSON.stringify(message))) this.#hasLostMessage = true;
  }

  /** Return the outbox, oldest first. */
  outbox() {
    return this.#readAll("outbox/", isOutboxItem)
      .sort((one, other) => one.createdAt - other.createdAt);
  }

  /**
   * Store an item of the outbox.
   * @param {OutboxItem} item
   */
  storeItem(item) {
    this.#write(`outbox/${item.clientMessageId}`, JSON.stringify(item));
  }

  /**
   * Delete an item of the outbox.
   * @param {string} clientMessageId
   */
  removeItem(clientMessageId) {
    this.#remove("outbox", clientMessageId);
  }

  /**
   * Return all values of a kind that are valid, and delete those that are not JSON.
   * @template T
   * @param {string} kind
   * @param {(value: Unchecked<T>) => value is Unchecked<T> & T} isValid
   * @returns {T[]}
   */
  #readAll(kind, isValid) {
    const found = [];
    for (const key of keysUnder(this.#storage, this.#prefix + kind)) {
      try {
        const value = JSON.parse(this.#storage.getItem(key) ?? "");
        if (isObject(value) && isValid(value)) found.push(value);
      } catch {
        this.#storage.removeItem(key);
      }
    }
    return found;
  }

  /**
   * Write a value, and return whether there was room for it.
   * @param {string} name
   * @param {string} value
   */
  #write(name, value) {
    if (this.#set(name, value)) return true;
    this.#makeRoom();
    if (this.#set(name, value)) return true;
    this.#onFull();
    return false;
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  #set(name, value) {
    try {
      this.#storage.setItem(this.#prefix + name, value);
      return true;
    } catch {
      return false;
    }
  }

  /** Delete the older half of the messages. */
  #makeRoom() {
    const messages = this.messages();
    for (const { messageId } of messages.slice(0, Math.ceil(messages.length / 2))) {
      this.#remove("message", messageId);
    }
  }

  /**
   * @param {string} kind
   * @param {string} id
   */
  #remove(kind, id) {
    this.#storage.removeItem(`${this.#prefix}${kind}/${encodeURIComponent(id)}`);
  }
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
 * A value as it was parsed: its fields may be missing, or of any type.
 * @template T
 * @typedef {Partial<Record<keyof T, unknown>>} Unchecked
 */

/**
 * @param {Unchecked<StoredMessage>} value
 * @returns {value is StoredMessage}
 */
function isStoredMessage(value) {
  return isMessage(value);
}

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
