/** The list of the messages of one chat, in order. */

import { find, showText } from "./dom.js";
import { isPending } from "./entry.js";
import { formatError, formatHistory } from "./format.js";
import { MessageView, statusOf } from "./message-view.js";

/** @typedef {import("./history.js").ChatHistory} ChatHistory */
/** @typedef {import("./entry.js").Entry} Entry */
/** @typedef {import("./message-view.js").MessageActions} MessageActions */
/** @typedef {import("./protocol.js").Receipts} Receipts */
/** @typedef {{entry: Entry, view: MessageView}} Row */

/**
 * @typedef {object} ListActions
 * @property {() => void} loadOlder
 * @property {() => void} retryLoading
 * @property {() => void} onAtEnd is called when the reader has scrolled to the newest message
 */

const AT_END_PIXELS = 60;
const NEAR_START_PIXELS = 400;

/**
 * A list that stays scrolled to its end while the reader is there, and else where the reader is.
 *
 * It changes the document for many entries at once, and reads no position meanwhile: reading one
 * makes the browser lay out the whole list.
 */
export class MessageList {
  #element;
  #list;
  #empty;
  #history;
  #jump;
  #actions;
  /** @type {Row[]} in order */
  #rows = [];
  /** @type {Map<string, Row>} */
  #rowsByKey = new Map();
  #missed = { firstKey: "", count: 0 };
  /** @type {import("./history.js").HistoryState} */
  #historyState = "unknown";
  /** @type {import("./message-view.js").Context} */
  #context = { isOnline: false, receipts: {} };
  #isAtEnd = true;
  #lastTop = 0;
  #isScrollPending = false;

  /**
   * @param {HTMLElement} element scrolls, and contains the list
   * @param {HTMLElement} jump scrolls to the end; it is shown when there is a new message
   * @param {MessageActions & ListActions} actions
   */
  constructor(element, jump, actions) {
    this.#element = element;
    this.#list = find(element, "ol", HTMLOListElement);
    this.#empty = find(element, ".empty", HTMLElement);
    this.#history = {
      label: find(element, ".history .label", HTMLElement),
      error: find(element, ".history .error", HTMLElement),
      retry: find(element, ".history button", HTMLButtonElement),
    };
    this.#jump = jump;
    this.#actions = actions;
    jump.addEventListener("click", () => {
      this.#isAtEnd = true;
      this.#scrollToEnd();
      element.focus();
    });
    this.#history.retry.addEventListener("click", () => {
      element.focus(); // the button is hidden now
      actions.retryLoading();
    });
    element.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    // The keyboard of a phone, or a composer that grows, makes the list less high.
    const observer = new ResizeObserver(() => this.#scrollSoon());
    observer.observe(element);
    observer.observe(this.#list); // a line above a message, or a picture, makes the list longer
  }

  /** Whether the reader sees the newest message, if the list is visible. */
  get isAtEnd() {
    return this.#isAtEnd;
  }

  /**
   * Show these entries and no others.
   * @param {Entry[]} entries
   * @param {Receipts} receipts of the partner
   */
  setEntries(entries, receipts) {
    this.#context.receipts = receipts;
    this.#rows = [];
    this.#rowsByKey.clear();
    this.#list.replaceChildren();
    this.#isAtEnd = true;
    this.put(entries);
    this.#jump.hidden = true;
  }

  /**
   * Add entries, or replace those with the same keys.
   * @param {Entry[]} entries
   */
  put(entries) {
    const newest = this.#rows.findLast(({ entry }) => !isPending(entry))?.entry;
    /** @type {Row[]} */
    const moved = [];
    /** @type {Row[]} */
    const added = [];
    for (const entry of entries) {
      const row = this.#rowsByKey.get(entry.key);
      if (!row) added.push(this.#addRow(entry));
      else if (this.#update(row, entry)) moved.push(row);
    }
    if (added.some(({ entry }) => isPending(entry))) this.#isAtEnd = true; // the user sends it now
    else if (!this.#isAtEnd && added.some(({ entry }) => newest && isBefore(newest, entry))) {
      this.#jump.hidden = false;
    }
    for (const { view } of added) view.element.classList.toggle("appearing", added.length === 1);
    this.#keepPosition(() => this.#place([...moved, ...added]));
    this.#showEmpty();
  }

  /**
   * Remove an entry.
   * @param {string} key
   */
  remove(key) {
    const row = this.#rowsByKey.get(key);
    if (!row) return;
    this.#rowsByKey.delete(key);
    const index = this.#rows.indexOf(row);
    this.#rows.splice(index, 1);
    if (row.view.element.contains(document.activeElement)) this.#element.focus();
    row.view.element.remove();
    this.#showDivider(index);
    this.#showEmpty();
  }

  /**
   * Draw a line above the first of the messages that arrived while the user was away.
   * @param {string} firstKey its key; it may be added later
   * @param {number} count 0 to remove the line
   */
  showMissed(firstKey, count) {
    this.#keepPosition(() => {
      this.#rowsByKey.get(this.#missed.firstKey)?.view.showMissed(0);
      this.#missed = { firstKey, count };
      this.#rowsByKey.get(firstKey)?.view.showMissed(count);
    });
  }

  /**
   * Show above the messages whether there are older ones.
   * @param {ChatHistory} history
   */
  showHistory({ state, error }) {
    this.#historyState = state;
    this.#showEmpty();
    this.#keepPosition(() => {
      this.#showHistoryLabel();
      showText(this.#history.error, error ? formatError(error) : "");
      this.#history.retry.hidden = state !== "failed";
    });
  }

  /**
   * Update the status of the messages that are not sent, which depends on the connection.
   * @param {boolean} isOnline
   */
  setOnline(isOnline) {
    this.#context.isOnline = isOnline;
    for (const { entry, view } of this.#rows) {
      if (isPending(entry)) view.update(entry, this.#context);
    }
    this.#showHistoryLabel();
  }

  /**
   * Update the status of the messages that the partner has received or read now.
   * @param {Receipts} receipts of the partner
   */
  setReceipts(receipts) {
    const before = this.#context.receipts;
    this.#context.receipts = receipts;
    for (const { entry, view } of this.#rows) {
      if (entry.isMine && statusOf(entry, before) !== statusOf(entry, receipts)) {
        view.update(entry, this.#context);
      }
    }
  }

  // --- scrolling ---------------------------------------------------------------------------------

  #onScroll() {
    const { scrollTop, clientHeight, scrollHeight } = this.#element;
    if (scrollHeight - scrollTop - clientHeight < AT_END_PIXELS) this.#isAtEnd = true;
    // Otherwise the end has moved away, because a message was added.
    else if (scrollTop < this.#lastTop) this.#isAtEnd = false;
    this.#lastTop = scrollTop;
    if (this.#isAtEnd) {
      this.#jump.hidden = true;
      this.#actions.onAtEnd();
    }
    this.#loadOlderNearStart();
  }

  /** Scroll when the browser lays out the list anyway. */
  #scrollSoon() {
    if (this.#isScrollPending) return;
    this.#isScrollPending = true;
    requestAnimationFrame(() => {
      this.#isScrollPending = false;
      if (this.#isAtEnd) this.#scrollToEnd();
      this.#loadOlderNearStart();
    });
  }

  #scrollToEnd() {
    this.#element.scrollTop = this.#element.scrollHeight;
    this.#lastTop = this.#element.scrollTop;
    this.#jump.hidden = true;
  }

  #loadOlderNearStart() {
    const { scrollTop, clientHeight } = this.#element;
    const isVisible = clientHeight > 0;
    if (isVisible && scrollTop < NEAR_START_PIXELS) this.#actions.loadOlder();
  }

  /**
   * Change the list, and scroll so that the reader sees the same messages as before.
   * @param {() => void} change
   */
  #keepPosition(change) {
    const anchor = this.#isAtEnd ? undefined : this.#firstVisibleRow();
    const top = anchor?.view.element.getBoundingClientRect().top ?? 0;
    change();
    if (anchor) {
      this.#element.scrollTop += anchor.view.element.getBoundingClientRect().top - top;
      this.#lastTop = this.#element.scrollTop;
    }
    this.#scrollSoon();
  }

  #firstVisibleRow() {
    const { top } = this.#element.getBoundingClientRect();
    let [first, end] = [0, this.#rows.length];
    while (first < end) {
      const middle = (first + end) >> 1;
      const { bottom } = this.#rows[middle].view.element.getBoundingClientRect();
      if (bottom > top) end = middle;
      else first = middle + 1;
    }
    return this.#rows[first];
  }

  // --- rows --------------------------------------------------------------------------------------

  /** @param {Entry} entry */
  #addRow(entry) {
    const row = { entry, view: new MessageView(entry, this.#actions) };
    row.view.update(entry, this.#context);
    if (entry.key === this.#missed.firstKey) row.view.showMissed(this.#missed.count);
    this.#rowsByKey.set(entry.key, row);
    return row;
  }

  /**
   * Update a row; return whether it must be placed again.
   * @param {Row} row
   * @param {Entry} entry
   */
  #update(row, entry) {
    const isAtItsPlace = entry.timestamp === row.entry.timestamp
      && isPending(entry) === isPending(row.entry);
    row.entry = entry;
    row.view.update(entry, this.#context);
    if (isAtItsPlace) return false;
    const index = this.#rows.indexOf(row);
    const [previous, next] = [this.#rows[index - 1], this.#rows[index + 1]];
    if (!(previous && isBefore(entry, previous.entry)) && !(next && isBefore(next.entry, entry))) {
      return false; // an element that is moved loses the focus
    }
    this.#rows.splice(index, 1);
    this.#showDivider(index);
    return true;
  }

  /**
   * Insert rows at their places, those between the same neighbours at once. Most are the newest.
   * @param {Row[]} rows
   */
  #place(rows) {
    rows.sort((one, other) => order(one.entry, other.entry));
    let index = this.#rows.length;
    let end = rows.length;
    while (end > 0) {
      while (index > 0 && isBefore(rows[end - 1].entry, this.#rows[index - 1].entry)) index -= 1;
      const previous = this.#rows[index - 1]?.entry;
      let start = end - 1;
      while (start > 0 && !(previous && isBefore(rows[start - 1].entry, previous))) start -= 1;
      this.#insert(rows.slice(start, end), index);
      end = start;
    }
  }

  /**
   * @param {Row[]} rows
   * @param {number} index
   */
  #insert(rows, index) {
    const fragment = document.createDocumentFragment();
    for (const { view } of rows) fragment.append(view.element);
    this.#list.insertBefore(fragment, this.#rows[index]?.view.element ?? null);
    this.#rows = [...this.#rows.slice(0, index), ...rows, ...this.#rows.slice(index)];
    for (let each = index; each <= index + rows.length; each += 1) this.#showDivider(each);
  }

  #showEmpty() {
    const isEmpty = this.#rows.length === 0 && this.#historyState === "whole";
    this.#empty.hidden = !isEmpty;
    this.#history.label.hidden = isEmpty;
  }

  #showHistoryLabel() {
    this.#history.label.textContent = formatHistory(this.#historyState, this.#context.isOnline);
  }

  /** @param {number} index */
  #showDivider(index) {
    this.#rows[index]?.view.showDivider(this.#rows[index - 1]?.entry);
  }
}

/**
 * Return whether an entry is shown before another. Pending ones come last: their timestamp will be
 * that of their arrival at the backend.
 * @param {Entry} one
 * @param {Entry} other
 */
function isBefore(one, other) {
  return order(one, other) < 0;
}

/**
 * @param {Entry} one
 * @param {Entry} other
 */
function order(one, other) {
  return Number(isPending(one)) - Number(isPending(other)) || one.timestamp - other.timestamp;
}
