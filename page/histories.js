/** The histories of the chats that were shown. */

import { ChatHistory } from "./history.js";

/** @typedef {import("./protocol.js").ReceivedMessage} ReceivedMessage */

/**
 * @typedef {object} HistoriesListeners
 * @property {(chatId: string, messages: ReceivedMessage[], isFirst: boolean) => void} onMessages is
 *   called with each page, oldest message first
 * @property {(chatId: string) => void} onState is called when the state of a history changes
 */

/** A history for each chat, which follows the connection. */
export class Histories {
  #client;
  #listeners;
  /** @type {Map<string, ChatHistory>} by chat id */
  #histories = new Map();

  /**
   * @param {import("./protocol.js").ChatClient} client
   * @param {HistoriesListeners} listeners
   */
  constructor(client, listeners) {
    this.#client = client;
    this.#listeners = listeners;
  }

  /**
   * Return whether a chat was shown.
   * @param {string} chatId
   */
  has(chatId) {
    return this.#histories.has(chatId);
  }

  /**
   * Return the history of a chat.
   * @param {string} chatId
   */
  of(chatId) {
    let history = this.#histories.get(chatId);
    if (!history) {
      const { onMessages, onState } = this.#listeners;
      history = new ChatHistory(this.#client, chatId, {
        onMessages: (messages, isFirst) => onMessages(chatId, messages, isFirst),
        onState: () => onState(chatId),
      });
      this.#histories.set(chatId, history);
    }
    return history;
  }

  /**
   * Load what a new connection makes possible; note what a lost one makes incomplete.
   * @param {string} shown the id of the chat that is shown
   * @param {(chatId: string) => number} newestOf returns the timestamp of a chat's newest message
   */
  followConnection(shown, newestOf) {
    const { name } = this.#client.state;
    const history = this.of(shown);
    // A catch-up brings what the partner wrote. What the user wrote elsewhere can wait for its end.
    if (name === "connected" || (name === "catching-up" && history.from === Infinity)) {
      history.loadNewest();
    } else if (name !== "catching-up") {
      for (const [chatId, each] of this.#histories) each.disconnected(newestOf(chatId));
    }
  }
}
