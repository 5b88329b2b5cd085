/** How far the chats of a user are read: unread counts, and the receipts for the partners. */

import { MAX_UNREAD } from "./format.js";

// Messages that come within this time are marked as read together.
const DELAY_MS = 400;

/**
 * What the user sees of the chat that is shown.
 * @typedef {object} Shown
 * @property {string} chatId
 * @property {boolean} isVisible
 * @property {boolean} isAtEnd whether the newest message is in view, if the chat is visible
 * @property {boolean} isWhole whether no message before the newest is missing
 */

/** Marks the chat that is shown as read. */
export class ReadMarker {
  #client;
  #storage;
  #entries;
  #me;
  #shown;
  #onChange;
  #timer = 0;

  /**
   * @param {object} options
   * @param {import("./protocol.js").ChatClient} options.client
   * @param {import("./storage.js").ChatStorage} options.storage
   * @param {import("./entries.js").Entries} options.entries
   * @param {string} options.me
   * @param {() => Shown} options.shown
   * @param {() => void} options.onChange is called when fewer messages are unread
   */
  constructor({ client, storage, entries, me, shown, onChange }) {
    this.#client = client;
    this.#storage = storage;
    this.#entries = entries;
    this.#me = me;
    this.#shown = shown;
    this.#onChange = onChange;
  }

  /** How many messages are unread, of which `MAX_UNREAD` of each chat count. */
  get unread() {
    return this.#entries.chatIds.reduce(
      (sum, chatId) => sum + Math.min(MAX_UNREAD, this.unreadIn(chatId)), 0);
  }

  /**
   * Return how many messages of a chat are unread.
   * @param {string} chatId
   */
  unreadIn(chatId) {
    const { read = 0 } = this.#client.receiptsOf(chatId, this.#me);
    return this.#entries.countUnread(chatId, Math.max(read, this.#storage.readUntil(chatId)));
  }

  /** Store that the chat that is shown is read, if it is visible; the partner learns it soon. */
  mark() {
    const { chatId, isVisible } = this.#shown();
    if (!isVisible) return;
    this.sendSoon();
    const hadUnread = this.unreadIn(chatId) > 0;
    const newest = this.#entries.newest(chatId);
    if (newest) this.#storage.storeRead(chatId, newest);
    if (hadUnread) this.#onChange();
  }

  /** Send that the chat is read, once for messages that come together. */
  sendSoon() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#send();
    }, DELAY_MS);
  }

  /** Send nothing any more. */
  close() {
    clearTimeout(this.#timer);
  }

  /** Send it if the user sees the newest message, and none before it is missing. */
  #send() {
    const { chatId, isVisible, isAtEnd, isWhole } = this.#shown();
    const newest = this.#entries.newestOfPartner(chatId);
    if (isVisible && isAtEnd && document.hasFocus() && isWhole && newest) {
      this.#client.markRead(chatId, newest);
    }
  }
}
