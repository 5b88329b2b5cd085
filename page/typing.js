/** The line that says that the partner is typing. */

import { formatTyping } from "./format.js";

const EXPIRES_MS = 10_000;
// The backend handles frames in parallel: "typing" may come after the message that was typed.
const REORDER_MS = 1_000;

/** Who is typing, in all chats of a user; one chat is shown. */
export class TypingIndicator {
  #element;
  #chatId = "";
  /** @type {Map<string, {userId: string, timer: number}>} by chat id */
  #typing = new Map();
  /** @type {Map<string, number>} when the partner's last message came, by chat id */
  #messageAt = new Map();

  /** @param {HTMLElement} element a live region */
  constructor(element) {
    this.#element = element;
  }

  /**
   * Show whether the partner in this chat is typing.
   * @param {string} chatId
   */
  showChat(chatId) {
    this.#chatId = chatId;
    this.#show();
  }

  /**
   * Note that a partner is typing now.
   * @param {import("./protocol.js").Typing} typing
   */
  onTyping({ chatId, userId }) {
    if (Date.now() - (this.#messageAt.get(chatId) ?? 0) < REORDER_MS) return;
    clearTimeout(this.#typing.get(chatId)?.timer);
    const timer = setTimeout(() => this.#end(chatId), EXPIRES_MS);
    this.#typing.set(chatId, { userId, timer });
    this.#show();
  }

  /**
   * Note that the partner's message has come, which ends the typing.
   * @param {string} chatId
   */
  onMessage(chatId) {
    this.#messageAt.set(chatId, Date.now());
    this.#end(chatId);
  }

  /** Stop the timers. */
  close() {
    for (const chatId of [...this.#typing.keys()]) this.#end(chatId);
  }

  /** @param {string} chatId */
  #end(chatId) {
    clearTimeout(this.#typing.get(chatId)?.timer);
    if (this.#typing.delete(chatId)) this.#show();
  }

  #show() {
    const typing = this.#typing.get(this.#chatId);
    const text = typing ? formatTyping(typing.userId) : "";
    // Screen readers read the text again where it is set again.
    if (this.#element.textContent !== text) this.#element.textContent = text;
  }
}
