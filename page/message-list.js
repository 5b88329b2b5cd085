/** The list of the messages of one chat, in order. */

import { find } from "./dom.js";
import { MessageView } from "./message-view.js";

/** @typedef {import("./message-view.js").Entry} Entry */
/** @typedef {import("./message-view.js").MessageActions} MessageActions */

const AT_END_PIXELS = 60;

/** A list that stays scrolled to its end while the reader is there. */
export class MessageList {
  #element;
  #list;
  #empty;
  #jump;
  #actions;
  /** @type {{entry: Entry, view: MessageView}[]} in order */
  #rows = [];
  /** @type {string | undefined} */
  #firstMissedKey;
  #isOnline = false;

  /**
   * @param {HTMLElement} element scrolls, and contains the list
   * @param {HTMLElement} jump scrolls to the end; it is shown when there is a new message
   * @param {MessageActions} actions
   */
  constructor(element, jump, actions) {
    this.#element = element;
    this.#list = find(element, "ol", HTMLOListElement);
    this.#empty = find(element, ".empty", HTMLElement);
    this.#jump = jump;
    this.#actions = actions;
    jump.addEventListener("click", () => {
      this.scrollToEnd();
      element.focus();
    });
    let wasAtEnd = true;
    element.addEventListener("scroll", () => {
      wasAtEnd = this.#isAtEnd;
      if (wasAtEnd) jump.hidden = true;
    }, { passive: true });
    // The keyboard of a phone, or a composer that grows, makes the list less high.
    new ResizeObserver(() => {
      if (wasAtEnd) this.scrollToEnd();
    }).observe(element);
  }

  /**
   * Show these entries and no others.
   * @param {Entry[]} entries
   */
  setEntries(entries) {
    this.#rows = [];
    this.#firstMissedKey = undefined;
    this.#list.replaceChildren();
    for (const entry of entries) this.#place(entry);
    this.#showEmpty();
    this.scrollToEnd();
  }

  /**
   * Add an entry, or replace the one with the same key.
   * @param {Entry} entry
   */
  put(entry) {
    const wasAtEnd = this.#isAtEnd;
    const isNew = !this.#rows.some((row) => row.entry.key === entry.key);
    this.#place(entry);
    this.#showEmpty();
    if (wasAtEnd || (isNew && entry.isMine)) this.scrollToEnd();
    else if (isNew) this.#jump.hidden = false;
  }

  /**
   * Remove an entry.
   * @param {string} key
   */
  remove(key) {
    const index = this.#rows.findIndex(({ entry }) => entry.key === key);
    if (index < 0) return;
    const [{ view }] = this.#rows.splice(index, 1);
    if (view.element.contains(document.activeElement)) this.#element.focus();
    view.element.remove();
    this.#showDivider(index);
    this.#showEmpty();
  }

  /**
   * Draw a line above the first of the messages that arrived while the user was away.
   * @param {Set<string>} keys
   */
  showMissed(keys) {
    this.#rows.find(({ entry }) => entry.key === this.#firstMissedKey)?.view.showMissed(0);
    const first = this.#rows.find(({ entry }) => keys.has(entry.key));
    this.#firstMissedKey = first?.entry.key;
    first?.view.showMissed(keys.size);
  }

  /**
   * Update the status of the messages that are not sent, which depends on the connection.
   * @param {boolean} isOnline
   */
  setOnline(isOnline) {
    this.#isOnline = isOnline;
    for (const { entry, view } of this.#rows) {
      if (isPending(entry)) view.update(entry, isOnline);
    }
  }

  /** Scroll to the newest message. */
  scrollToEnd() {
    this.#element.scrollTop = this.#element.scrollHeight;
    this.#jump.hidden = true;
  }

  get #isAtEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.#element;
    return scrollHeight - scrollTop - clientHeight < AT_END_PIXELS;
  }

  /**
   * Insert or move an entry to its place: most are the newest.
   * @param {Entry} entry
   */
  #place(entry) {
    const oldIndex = this.#rows.findIndex((row) => row.entry.key === entry.key);
    const row = oldIndex < 0
      ? { entry, view: new MessageView(entry, this.#actions) } : this.#rows[oldIndex];
    row.entry = entry;
    row.view.update(entry, this.#isOnline);
    if (oldIndex >= 0) this.#rows.splice(oldIndex, 1);
    let index = this.#rows.length;
    while (index > 0 && isBefore(entry, this.#rows[index - 1].entry)) index -= 1;
    this.#rows.splice(index, 0, row);
    if (index === oldIndex) return; // an element that is moved loses the focus
    const next = this.#rows[index + 1]?.view.element ?? null;
    this.#list.insertBefore(row.view.element, next);
    this.#showDivider(index);
    this.#showDivider(index + 1);
    if (oldIndex >= 0) this.#showDivider(oldIndex);
  }

  /** @param {number} index */
  #showDivider(index) {
    this.#rows[index]?.view.showDivider(this.#rows[index - 1]?.entry);
  }

  #showEmpty() {
    this.#empty.hidden = this.#rows.length > 0;
  }
}

/**
 * Return whether an entry is shown before another. Pending ones come last: their timestamp will be
 * that of their arrival at the backend.
 * @param {Entry} one
 * @param {Entry} other
 */
function isBefore(one, other) {
  if (isPending(one) !== isPending(other)) return isPending(other);
  return one.timestamp < other.timestamp;
}

/** @param {Entry} entry */
function isPending({ status }) {
  return status === "queued" || status === "uploading";
}
