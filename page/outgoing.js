/** What the user sends: texts and files, until they are stored. */

import { entryOfAck, entryOfItem } from "./entry.js";
import { contentTypeOf } from "./files.js";
import { newId } from "./protocol.js";
import { Uploads } from "./uploads.js";

/** @typedef {import("./entry.js").Entry} Entry */
/** @typedef {import("./protocol.js").Acknowledged} Acknowledged */

/**
 * @typedef {object} OutgoingListeners
 * @property {(entry: Entry) => void} onEntry is called with each new entry, and each change of one
 * @property {(key: string) => void} onRemoved is called when an entry is no more
 */

/** The messages that the user sends. The outbox is stored before a message is sent. */
export class Outgoing {
  #me;
  #client;
  #storage;
  #uploads;
  #listeners;

  /**
   * @param {object} options
   * @param {string} options.me
   * @param {import("./protocol.js").ChatClient} options.client
   * @param {import("./storage.js").ChatStorage} options.storage
   * @param {import("./files.js").Files} options.files
   * @param {OutgoingListeners} listeners
   */
  constructor({ me, client, storage, files }, listeners) {
    this.#me = me;
    this.#client = client;
    this.#storage = storage;
    this.#listeners = listeners;
    this.#uploads = new Uploads(client, files, {
      onProgress: listeners.onEntry,
      onSent: listeners.onRemoved,
    });
    client.addEventListener("outbox", ({ detail }) => {
      storage.storeItem(detail);
      listeners.onEntry(entryOfItem(detail, me));
    });
    client.addEventListener("ack", ({ detail }) => this.#onAck(detail));
  }

  /** Whether there are files that are not uploaded. */
  get hasUploads() {
    return this.#uploads.isActive;
  }

  /**
   * Send a text, or files of which the first has the text.
   * @param {string} chatId
   * @param {string} text
   * @param {File[]} files
   * @throws {import("./protocol.js").ChatError} if the message cannot be sent at all
   */
  send(chatId, text, files) {
    if (files.length === 0) {
      this.#client.send({ chatId, text });
      return;
    }
    files.forEach((file, index) => {
      this.#uploads.start({
        key: newId(), chatId, senderId: this.#me, isMine: true, timestamp: Date.now(),
        text: (index === 0 && text) || undefined,
        file: { name: file.name, type: contentTypeOf(file), size: file.size },
      }, file);
    });
  }

  /**
   * Send a message again that was refused.
   * @param {Entry} entry
   */
  retry(entry) {
    if (!this.#uploads.retry(entry)) this.#client.retry(entry.key);
  }

  /**
   * Remove a message that is not stored.
   * @param {Entry} entry
   */
  remove({ key }) {
    const wasUpload = this.#uploads.cancel(key);
    this.#storage.removeItem(key);
    if (!wasUpload) this.#client.discard(key);
    this.#listeners.onRemoved(key);
  }

  /** Cancel the uploads. */
  close() {
    this.#uploads.close();
  }

  /** @param {Acknowledged} acknowledged */
  #onAck(acknowledged) {
    const { item: { clientMessageId, chatId }, ack: { timestamp, delivered } } = acknowledged;
    this.#storage.removeItem(clientMessageId);
    this.#listeners.onRemoved(clientMessageId);
    this.#listeners.onEntry(entryOfAck(acknowledged, this.#me));
    if (delivered) this.#storage.storeDelivered(chatId, timestamp);
    this.#storage.storeRead(chatId, 0);
  }
}
