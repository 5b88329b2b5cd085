/** The messages that the page knows, of all chats of a user. */

import { isStored } from "./entry.js";

/** @typedef {import("./entry.js").Entry} Entry */

/** Entries by their keys, and what the list of chats says of them. */
export class Entries {
  /** @type {Map<string, Entry>} by key */
  #entries = new Map();
  /** @type {Map<string, Entry | null>} the latest of each chat, by chat id; null if it has none */
  #latest = new Map();

  /** The ids of the chats that have entries or were added. */
  get chatIds() {
    return [...this.#latest.keys()];
  }

  /** All entries. */
  all() {
    return [...this.#entries.values()];
  }

  /** @param {string} key */
  get(key) {
    return this.#entries.get(key);
  }

  /**
   * Add a chat without entries, unless it is known.
   * @param {string} chatId
   */
  addChat(chatId) {
    if (!this.#latest.has(chatId)) this.#latest.set(chatId, null);
  }

  /**
   * Add an entry, or replace that with the same key.
   * @param {Entry} entry
   */
  put(entry) {
    this.#entries.set(entry.key, entry);
    const latest = this.#latest.get(entry.chatId);
    if (!latest || latest.key === entry.key || entry.timestamp >= latest.timestamp) {
      this.#latest.set(entry.chatId, entry);
    }
  }

  /**
   * Delete an entry.
   * @param {string} key
   */
  delete(key) {
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    if (!entry || this.#latest.get(entry.chatId) !== entry) return;
    const left = this.#of(entry.chatId);
    this.#latest.set(entry.chatId, left.length > 0 ? left.reduce(laterOf) : null);
  }

  /**
   * Return the latest entry of a chat, sent or not; null if there is none.
   * @param {string} chatId
   */
  latest(chatId) {
    return this.#latest.get(chatId) ?? null;
  }

  /**
   * Return the timestamp of the newest stored message of a chat; 0 if none is known.
   * @param {string} chatId
   */
  newest(chatId) {
    return newestOf(this.#of(chatId).filter(isStored));
  }

  /**
   * Return the timestamp of the partner's newest message in a chat; 0 if none is known.
   * @param {string} chatId
   */
  newestOfPartner(chatId) {
    return newestOf(this.#of(chatId).filter((entry) => !entry.isMine));
  }

  /**
   * Return how many messages of the partner are later than a timestamp.
   * @param {string} chatId
   * @param {number} readUntil
   */
  countUnread(chatId, readUntil) {
    const latest = this.#latest.get(chatId);
    if (!latest || latest.timestamp <= readUntil) return 0;
    return this.#of(chatId).filter(
      ({ isMine, timestamp }) => !isMine && timestamp > readUntil).length;
  }

  /** @param {string} chatId */
  #of(chatId) {
    return this.all().filter((entry) => entry.chatId === chatId);
  }
}

/** @param {Entry[]} entries */
function newestOf(entries) {
  return entries.reduce((newest, { timestamp }) => Math.max(newest, timestamp), 0);
}

/**
 * @param {Entry} one
 * @param {Entry} other
 */
function laterOf(one, other) {
  return other.timestamp >= one.timestamp ? other : one;
}
