/** What the user receives: messages that are pushed, and those that a catch-up or a page brings. */

import { entryOfMessage } from "./entry.js";
import { formatMissed } from "./format.js";
import { MissedMessages } from "./missed-messages.js";

/** @typedef {import("./entry.js").Entry} Entry */
/** @typedef {import("./protocol.js").ReceivedMessage} ReceivedMessage */

/**
 * @typedef {object} IncomingParts
 * @property {string} me
 * @property {import("./protocol.js").ChatClient} client
 * @property {import("./storage.js").ChatStorage} storage
 * @property {import("./files.js").Files} files
 * @property {import("./entries.js").Entries} entries
 * @property {import("./typing.js").TypingIndicator} typing
 * @property {import("./announcer.js").Announcer} announcer
 */

/**
 * @typedef {object} IncomingListeners
 * @property {(entries: Entry[]) => void} onEntries is called with the messages of a frame
 * @property {(entries: Entry[]) => void} onMissed is called after a catch-up with what it brought,
 *   oldest first, if that is anything
 */

/** The messages of the client, as entries. */
export class Incoming {
  #parts;
  #missed;
  #onMissed;
  /** @type {ReceivedMessage[]} messages of the last frame, which are not shown yet */
  #received = [];

  /**
   * @param {IncomingParts} parts
   * @param {IncomingListeners} listeners
   */
  constructor(parts, { onEntries, onMissed }) {
    const { client, storage } = parts;
    this.#parts = parts;
    this.#missed = new MissedMessages(storage);
    this.#onMissed = onMissed;
    client.addEventListener("state", ({ detail: { name } }) => {
      if (name === "connecting") this.#missed.connecting();
    });
    client.addEventListener("message", ({ detail }) => {
      // A frame may have hundreds of messages, which are shown together.
      if (this.#received.push(detail) === 1) queueMicrotask(() => onEntries(this.#takeReceived()));
    });
    client.addEventListener("synced", ({ detail }) => {
      storage.until = detail.until;
      if (detail.complete !== false) this.#showMissed();
    });
  }

  /**
   * Store messages and the links to their files; return the entries.
   * @param {ReceivedMessage[]} messages
   */
  store(messages) {
    const { me, storage, files, entries } = this.#parts;
    const chatIds = new Set(messages.map(({ chatId }) => chatId));
    const delivered = new Map([...chatIds].map((chatId) => [chatId, storage.delivered(chatId)]));
    return messages.map((message) => {
      const { messageId, chatId, senderId, timestamp, fileKey, fileUrl } = message;
      if (fileKey && fileUrl) files.storeLink(fileKey, fileUrl);
      const wasDelivered = senderId === me && delivered.get(chatId)?.has(timestamp);
      const status = wasDelivered ? "delivered" : entries.get(messageId)?.status;
      const entry = entryOfMessage(message, { me, status });
      entries.put(entry);
      return entry;
    });
  }

  #takeReceived() {
    const { client, typing, announcer } = this.#parts;
    const entries = this.store(this.#received);
    this.#received = [];
    // Several come together only where they were missed.
    const isCatchUp = client.state.name === "catching-up" || entries.length > 1;
    for (const entry of entries) {
      const { chatId, senderId, isMine, text, file } = entry;
      if (isMine) continue;
      typing.onMessage(chatId);
      if (isCatchUp) this.#missed.add(entry);
      else announcer.announce(`${senderId}: ${text ?? file?.name ?? ""}`);
    }
    return entries;
  }

  #showMissed() {
    const missed = this.#missed.take();
    if (missed.length === 0) return;
    this.#onMissed(missed);
    this.#parts.announcer.announce(formatMissed(missed.length));
  }
}
