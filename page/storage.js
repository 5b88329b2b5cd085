/**
 * What a reload must not lose, in this browser's localStorage: messages, outbox, `until`.
 *
 * Each message has a key of its own, so that two tabs of one user do not overwrite each other. Links
 * are not kept, because they are secrets and run out; tokens are never here. Whatever else is found
 * under those keys, of another version for example, is passed over.
 */

import { ChatError, isMessage, isTime } from "./protocol.js";

const ROOT = "serverless-chat/";
const MOST_MESSAGES = 1000;

/** What one user of one backend has. */
export class Memory {
  #storage;
  #prefix;
  #tellFull;
  #hasLost = false;

  /**
   * @param {string} backend the URL of the stage
   * @param {string} userId
   * @param {() => void} tellFull is called when something could not be kept
   * @throws {ChatError} if the browser lets nothing be kept
   */
  constructor(backend, userId, tellFull) {
    this.#storage = storageOfBrowser();
    this.#prefix = `${ROOT}${encodeURIComponent(backend)}/${encodeURIComponent(userId)}/`;
    this.#tellFull = tellFull;
  }

  /** The last `until`; 0 if there was none. */
  get until() {
    const until = Number(this.#storage.getItem(`${this.#prefix}until`));
    return Number.isSafeInteger(until) && until >= 0 ? until : 0;
  }

  /** Once a message could not be kept, it stays as it is: a reload then has the message replayed. */
  set until(until) {
    if (!this.#hasLost) this.#write("until", String(until));
  }

  /** Give all messages, oldest first; of very many, the newest. */
  messages() {
    const messages = this.#all("message/", isMessage).sort((one, other) => one.timestamp - other.timestamp);
    for (const { messageId } of messages.slice(0, -MOST_MESSAGES)) this.#remove("message", messageId);
    return messages.slice(-MOST_MESSAGES);
  }

  /** Keep a message; one of the same id is replaced. */
  keepMessage({ fileUrl: _secret, ...message }) {
    const name = `message/${encodeURIComponent(message.messageId)}`;
    if (!this.#write(name, JSON.stringify(message))) this.#hasLost = true;
  }

  /** Give what is not acknowledged, in the order of writing. */
  outbox() {
    return this.#all("outbox/", isItem).sort((one, other) => one.createdAt - other.createdAt);
  }

  /** Keep an item of the outbox. */
  keepItem(item) {
    this.#write(`outbox/${item.clientMessageId}`, JSON.stringify(item));
  }

  /** Forget an item of the outbox. */
  dropItem({ clientMessageId }) {
    this.#remove("outbox", clientMessageId);
  }

  #all(kind, isSound) {
    const found = [];
    for (const key of keysUnder(this.#storage, this.#prefix + kind)) {
      try {
        const value = JSON.parse(this.#storage.getItem(key));
        if (isObject(value) && isSound(value)) found.push(value);
      } catch {
        this.#storage.removeItem(key); // not ours
      }
    }
    return found;
  }

  /** Say whether it could be kept. */
  #write(name, value) {
    if (this.#set(name, value)) return true;
    this.#makeRoom();
    if (this.#set(name, value)) return true;
    this.#tellFull();
    return false;
  }

  #set(name, value) {
    try {
      this.#storage.setItem(this.#prefix + name, value);
      return true;
    } catch {
      return false;
    }
  }

  /** Forget the older half of the messages. */
  #makeRoom() {
    const messages = this.messages();
    for (const { messageId } of messages.slice(0, Math.ceil(messages.length / 2))) {
      this.#remove("message", messageId);
    }
  }

  #remove(kind, id) {
    this.#storage.removeItem(`${this.#prefix}${kind}/${encodeURIComponent(id)}`);
  }
}

/**
 * Forget everything that any user of any backend has here.
 * @throws {ChatError} if the browser lets nothing be kept
 */
export function forgetEverything() {
  const storage = storageOfBrowser();
  for (const key of keysUnder(storage, ROOT)) storage.removeItem(key);
}

/** Give it, if a setting of the browser does not forbid to look at it, which throws. */
function storageOfBrowser() {
  try {
    const storage = globalThis.localStorage;
    storage.getItem(ROOT);
    return storage;
  } catch {
    throw new ChatError("no_storage", "This browser does not let the page store data: allow it to.");
  }
}

/** Say whether what was kept is an item of the outbox. */
function isItem({ clientMessageId, chatId, text, fileKey, file, createdAt, status, error }) {
  return (
    typeof clientMessageId === "string" && typeof chatId === "string" && isTime(createdAt) &&
    ["queued", "refused"].includes(status) &&
    [text, fileKey].every((value) => value === undefined || typeof value === "string") &&
    (typeof text === "string" || typeof fileKey === "string") &&
    (file === undefined || (isObject(file) && typeof file.name === "string")) &&
    (error === undefined || isObject(error))
  );
}

function isObject(value) {
  return typeof value === "object" && value !== null;
}

function keysUnder(storage, prefix) {
  return Object.keys(storage).filter((key) => key.startsWith(prefix));
}
