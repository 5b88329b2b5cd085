/** The list of a user's chats, the one with the latest message first. */

import { createElement, createIcon } from "./dom.js";
import { formatDateAndTime, formatRecent, formatUnread } from "./format.js";

/**
 * What the list shows of a chat.
 * @typedef {object} ChatSummary
 * @property {string} chatId
 * @property {string} name of the partner
 * @property {string} text of the latest message; empty if it is not known
 * @property {number} timestamp of the latest message, or of when the chat was read; 0 if not known
 * @property {number} unread
 */

/** A button for each chat, and one for a new chat. */
export class ChatList {
  #items;
  #onOpen;
  #shown = "";

  /**
   * @param {HTMLElement} element is emptied
   * @param {{onOpen: (chatId: string) => void, onNew: () => void}} actions
   */
  constructor(element, { onOpen, onNew }) {
    this.#onOpen = onOpen;
    this.#items = createElement("ul");
    const newChat = createElement(
      "button", { type: "button", className: "chip new", title: "New chat" }, createIcon("plus"),
      createElement("span", {}, "New chat"));
    newChat.addEventListener("click", onNew);
    element.replaceChildren(newChat, this.#items);
  }

  /**
   * Show these chats.
   * @param {ChatSummary[]} summaries
   * @param {string} current the id of the chat that is shown
   */
  show(summaries, current) {
    // A button that is replaced while it is pressed is not clicked.
    const shown = JSON.stringify([summaries, current]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const chips = [...summaries]
      .sort((one, other) => other.timestamp - one.timestamp || (one.name < other.name ? -1 : 1))
      .map((summary) => this.#chipOf(summary, summary.chatId === current));
    // A chip that has the focus may move.
    const focused = document.activeElement;
    const chatId = focused instanceof HTMLElement && this.#items.contains(focused)
      ? focused.dataset.chat : undefined;
    this.#items.replaceChildren(...chips.map((chip) => createElement("li", {}, chip)));
    if (chatId !== undefined) chips.find((chip) => chip.dataset.chat === chatId)?.focus();
  }

  /**
   * @param {ChatSummary} summary
   * @param {boolean} isCurrent
   */
  #chipOf({ chatId, name, text, timestamp, unread }, isCurrent) {
    const chip = createElement(
      "button", { type: "button", className: "chip", title: name },
      createElement("span", { className: "name" }, name));
    if (text) {
      const time = createElement(
        "time", { dateTime: new Date(timestamp).toISOString(), title: formatDateAndTime(timestamp) },
        formatRecent(timestamp));
      chip.append(" ", time, " ", createElement("span", { className: "latest" }, text));
    }
    if (unread) {
      chip.append(" ", createElement("span", { className: "count" }, `${formatUnread(unread)} new`));
    }
    chip.dataset.chat = chatId;
    if (isCurrent) chip.setAttribute("aria-current", "true");
    chip.addEventListener("click", () => this.#onOpen(chatId));
    return chip;
  }
}
