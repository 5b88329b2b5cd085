/** The files that are being uploaded, or whose upload failed. */

import { ChatError } from "./protocol.js";

/** @typedef {import("./entry.js").Entry} Entry */

/** Uploads files, and sends a message for each. */
export class Uploads {
  #client;
  #files;
  #listeners;
  /** @type {Map<string, {file: File, abort: AbortController}>} by the key of the entry */
  #uploads = new Map();

  /**
   * @param {import("./protocol.js").ChatClient} client
   * @param {import("./files.js").Files} files
   * @param {object} listeners
   * @param {(entry: Entry) => void} listeners.onProgress is called with each change of an entry
   * @param {(key: string) => void} listeners.onSent is called when the message is in the outbox
   */
  constructor(client, files, listeners) {
    this.#client = client;
    this.#files = files;
    this.#listeners = listeners;
  }

  /** Whether there is any. */
  get isActive() {
    return this.#uploads.size > 0;
  }

  /**
   * Upload a file, and send the message of its entry.
   * @param {Entry} entry
   * @param {File} file
   */
  async start(entry, file) {
    this.#uploads.get(entry.key)?.abort.abort(); // the previous attempt, if it is not over
    const abort = new AbortController();
    this.#uploads.set(entry.key, { file, abort });
    /** @param {Partial<Entry>} changes */
    const show = (changes) => this.#listeners.onProgress({
      ...entry, status: "uploading", error: undefined, progress: 0, ...changes,
    });
    show({});
    try {
      const fileKey = await this.#client.upload(entry.chatId, file, {
        contentType: entry.file?.type,
        signal: abort.signal,
        onProgress: (progress) => show({ progress }),
      });
      this.#files.storeSent(fileKey, file);
      const { chatId, text, file: info } = entry;
      this.#client.send({ chatId, text, fileKey, file: info });
      this.#uploads.delete(entry.key);
      this.#listeners.onSent(entry.key);
    } catch (error) {
      if (abort.signal.aborted) return;
      const { code, message } = error instanceof ChatError ? error
        : new ChatError("upload_failed", String(error));
      show({ status: "refused", error: { code, message } });
    }
  }

  /**
   * Upload a file again; return whether the entry has one.
   * @param {Entry} entry
   */
  retry(entry) {
    const upload = this.#uploads.get(entry.key);
    if (upload) this.start(entry, upload.file);
    return upload !== undefined;
  }

  /**
   * Cancel an upload; return whether there was one.
   * @param {string} key of its entry
   */
  cancel(key) {
    const upload = this.#uploads.get(key);
    this.#uploads.delete(key);
    upload?.abort.abort();
    return upload !== undefined;
  }

  /** Cancel all uploads. */
  close() {
    for (const key of [...this.#uploads.keys()]) this.cancel(key);
  }
}
