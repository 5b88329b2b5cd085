/** The chat that is shown: the loaded part of its history, and what is not sent yet. */

import { partnerIn } from "./chats.js";
import { Histories } from "./histories.js";
import { MessageList } from "./message-list.js";

/** @typedef {import("./entry.js").Entry} Entry */
/** @typedef {import("./histories.js").HistoriesListeners} HistoriesListeners */
/** @typedef {import("./message-view.js").MessageActions} MessageActions */

/**
 * @typedef {object} ShownChatParts
 * @property {string} me
 * @property {import("./protocol.js").ChatClient} client
 * @property {import("./entries.js").Entries} entries
 * @property {HTMLElement} list
 * @property {HTMLElement} jump
 */

/**
 * @typedef {object} ShownChatActions
 * @property {HistoriesListeners["onMessages"]} onPage is called with each page of a history; it
 *   stores the messages, and then calls `showPage`
 * @property {() => void} onSeen is called when the newest messages may have been seen
 */

/** Shows one chat at a time, and loads its history. */
export class ShownChat {
  #me;
  #client;
  #entries;
  #element;
  #histories;
  #list;
  #onSeen;
  #chatId = "";

  /**
   * @param {ShownChatParts} parts
   * @param {MessageActions & ShownChatActions} actions
   */
  constructor({ me, client, entries, list, jump }, actions) {
    this.#me = me;
    this.#client = client;
    this.#entries = entries;
    this.#element = list;
    this.#onSeen = actions.onSeen;
    this.#histories = new Histories(client, {
      onMessages: actions.onPage,
      onState: (chatId) => this.#showHistory(chatId),
    });
    this.#list = new MessageList(list, jump, {
      ...actions,
      loadOlder: () => this.#history.loadOlder(),
      retryLoading: () => this.#history.retry(),
      onAtEnd: () => this.#onSeen(),
    });
  }

  /** Its id. */
  get chatId() {
    return this.#chatId;
  }

  /** Its partner; empty if the user is not in it. */
  get partner() {
    return partnerIn(this.#chatId, this.#me) ?? "";
  }

  /** The name of its partner, or else its id. */
  get name() {
    return this.partner || this.#chatId;
  }

  /** Whether the newest message is in view, if the list is visible. */
  get isAtEnd() {
    return this.#list.isAtEnd;
  }

  /** Whether no message before the newest is missing. */
  get isWhole() {
    return this.#client.state.name === "connected" && this.#history.isCurrent;
  }

  /**
   * Return whether a chat is shown or was shown.
   * @param {string} chatId
   */
  wasShown(chatId) {
    return this.#histories.has(chatId);
  }

  /**
   * Show another chat.
   * @param {string} chatId
   */
  show(chatId) {
    this.#chatId = chatId;
    this.#element.setAttribute("aria-label", `Messages with ${this.name}`);
    this.#list.showMissed("", 0);
    this.#showEntries();
    this.#list.showHistory(this.#history);
    this.#history.loadNewest();
  }

  /**
   * Show a page of a history, whose entries are stored.
   * @param {string} chatId
   * @param {Entry[]} entries
   * @param {boolean} isFirst whether nothing of the history was loaded before
   */
  showPage(chatId, entries, isFirst) {
    if (isFirst && chatId === this.#chatId) this.#showEntries();
    else this.put(entries);
  }

  /**
   * Show those of new or changed entries that are in the loaded part of this chat.
   * @param {Entry[]} entries
   */
  put(entries) {
    this.#list.put(entries.filter((entry) => this.#isShown(entry)));
  }

  /**
   * Remove an entry, if it is in this chat.
   * @param {string} key
   */
  remove(key) {
    this.#list.remove(key);
  }

  /**
   * Draw a line above the messages that arrived while the user was away.
   * @param {Entry[]} missed of all chats, oldest first
   */
  showMissed(missed) {
    const here = missed.filter(({ chatId }) => chatId === this.#chatId);
    this.#list.showMissed(here[0]?.key ?? "", here.length);
  }

  /** Show what the partner has received and read now. */
  showReceipts() {
    this.#list.setReceipts(this.#receipts);
  }

  /** Load what a new connection makes possible, and show what a lost one makes wait. */
  followConnection() {
    const { name } = this.#client.state;
    this.#list.setOnline(name === "connected" || name === "catching-up");
    this.#histories.followConnection(this.#chatId, (chatId) => this.#entries.newest(chatId));
  }

  get #history() {
    return this.#histories.of(this.#chatId);
  }

  get #receipts() {
    return this.#client.receiptsOf(this.#chatId, this.partner);
  }

  #showEntries() {
    const shown = this.#entries.all().filter((entry) => this.#isShown(entry));
    this.#list.setEntries(shown, this.#receipts);
  }

  /**
   * Return whether an entry is in the loaded part of this chat. A catch-up contains what the
   * partner wrote before that part, and not what the user wrote.
   * @param {Entry} entry
   */
  #isShown({ chatId, status, timestamp }) {
    if (chatId !== this.#chatId) return false;
    const { from, state } = this.#history;
    return status !== undefined || timestamp >= from || (state === "failed" && from === Infinity);
  }

  /** @param {string} chatId */
  #showHistory(chatId) {
    if (chatId !== this.#chatId) return;
    const history = this.#history;
    // What else is known of the chat is better than nothing.
    if (history.state === "failed" && history.from === Infinity) this.#showEntries();
    this.#list.showHistory(history);
    if (history.isCurrent) this.#onSeen();
  }
}
