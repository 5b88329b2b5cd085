/** The latest messages of chats that are not shown, for the list of chats. */

import { MAX_UNREAD } from "./format.js";
import { ChatError } from "./protocol.js";

/** Loads the latest messages of each chat once, one chat after the other. */
export class Previews {
  #client;
  #onMessages;
  /** @type {Set<string>} the ids of the chats that are loaded */
  #loaded = new Set();
  #isLoading = false;

  /**
   * @param {import("./protocol.js").ChatClient} client
   * @param {(messages: import("./protocol.js").ReceivedMessage[]) => void} onMessages
   */
  constructor(client, onMessages) {
    this.#client = client;
    this.#onMessages = onMessages;
  }

  /**
   * Load the chats that are not loaded yet. The next connection goes on after this one is lost.
   * @param {string[]} chatIds
   */
  async load(chatIds) {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      for (const chatId of chatIds) {
        if (!this.#loaded.has(chatId)) await this.#loadOne(chatId);
      }
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
    } finally {
      this.#isLoading = false;
    }
  }

  /** @param {string} chatId */
  async #loadOne(chatId) {
    try {
      const { messages } = await this.#client.history(chatId, { limit: MAX_UNREAD + 1 });
      this.#loaded.add(chatId);
      this.#onMessages(messages);
    } catch (error) {
      if (!(error instanceof ChatError) || error.code === "disconnected") throw error;
      // The user is not in this chat, or the backend is busy: the list shows the name alone.
    }
  }
}
