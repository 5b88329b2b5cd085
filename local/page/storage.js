/**
 * What a reload must not lose, in this browser's localStorage: messages, outbox, `until`.
 *
 * Each message has a key of its own, so that two tabs of one user do not overwrite each other. Links
 * are not kept, because they are secrets and run out; tokens are never here.
 */

const ROOT = "serverless-chat/";
const MOST_MESSAGES = 1000;

/** What one user of one backend has. */
export class Memory {
  #storage;
  #prefix;
  #tellFull;

  /**
   * @param {string} backend the URL of the stage
   * @param {string} userId
   * @param {() => void} tellFull is called when something could not be kept
   */
  constructor(backend, userId, tellFull) {
    this.#storage = globalThis.localStorage;
    this.#prefix = `${ROOT}${encodeURIComponent(backend)}/${encodeURIComponent(userId)}/`;
    this.#tellFull = tellFull;
  }

  /** The last `until`; 0 if there was none. */
  get until() {
    return Number(this.#storage.getItem(`${this.#prefix}until`)) || 0;
  }

  set until(until) {
    this.#write("until", String(until));
  }

  /** Give all messages, oldest first; of very many, the newest. */
  messages() {
    const messages = this.#all("message/").sort((one, other) => one.timestamp - other.timestamp);
    for (const { messageId } of messages.slice(0, -MOST_MESSAGES)) this.#remove("message", messageId);
    return messages.slice(-MOST_MESSAGES);
  }

  /** Keep a message; one of the same id is replaced. */
  keepMessage({ fileUrl: _secret, ...message }) {
    this.#write(`message/${encodeURIComponent(message.messageId)}`, JSON.stringify(message));
  }

  /** Give what is not acknowledged, in the order of writing. */
  outbox() {
    return this.#all("outbox/").sort((one, other) => one.createdAt - other.createdAt);
  }

  /** Keep an item of the outbox. */
  keepItem(item) {
    this.#write(`outbox/${item.clientMessageId}`, JSON.stringify(item));
  }

  /** Forget an item of the outbox. */
  dropItem({ clientMessageId }) {
    this.#remove("outbox", clientMessageId);
  }

  #all(kind) {
    const found = [];
    for (const key of keysUnder(this.#storage, this.#prefix + kind)) {
      try {
        found.push(JSON.parse(this.#storage.getItem(key)));
      } catch {
        this.#storage.removeItem(key); // not ours
      }
    }
    return found;
  }

  #write(name, value) {
    const key = this.#prefix + name;
    try {
      this.#storage.setItem(key, value);
    } catch {
      this.#makeRoom();
      try {
        this.#storage.setItem(key, value);
      } catch {
        this.#tellFull();
      }
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

/** Forget everything that any user of any backend has here. */
export function forgetEverything() {
  for (const key of keysUnder(localStorage, ROOT)) localStorage.removeItem(key);
}

function keysUnder(storage, prefix) {
  return Object.keys(storage).filter((key) => key.startsWith(prefix));
}
