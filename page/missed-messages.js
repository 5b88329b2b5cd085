/** The messages that arrived while the user was away. */

/** @typedef {import("./entry.js").Entry} Entry */

/** Collects what a catch-up brings, except what was read before. */
export class MissedMessages {
  #storage;
  /** How far each chat was read before the connection. @type {Map<string, number>} */
  #readUntil = new Map();
  /** @type {Map<string, Entry>} by key */
  #entries = new Map();

  /** @param {import("./storage.js").ChatStorage} storage */
  constructor(storage) {
    this.#storage = storage;
  }

  /**
   * Note how far each chat is read, before a connection shows what is newer. The overlap of a
   * catch-up contains older messages, too.
   */
  connecting() {
    this.#readUntil = this.#storage.chats();
  }

  /** @param {Entry} entry */
  add(entry) {
    if (entry.isMine || entry.timestamp <= (this.#readUntil.get(entry.chatId) ?? 0)) return;
    this.#entries.set(entry.key, entry);
  }

  /** Return the collected entries, oldest first, and begin again with none. */
  take() {
    const taken = [...this.#entries.values()];
    this.#entries.clear();
    return taken.sort((one, other) => one.timestamp - other.timestamp);
  }
}
