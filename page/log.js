/** The messages of one chat, in order. */

import { Bubble } from "./bubble.js";

/** @typedef {import("./bubble.js").Entry} Entry */
/** @typedef {import("./bubble.js").Acts} Acts */

/** A list of bubbles that stays at its end while its reader is there. */
export class Log {
  #element;
  #list;
  #jump;
  #acts;
  /** @type {{entry: Entry, bubble: Bubble}[]} in order */
  #rows = [];
  #missedKey = null;
  #isOnline = false;

  /**
   * @param {HTMLElement} element scrolls, and holds the list
   * @param {HTMLElement} jump leads to the end; it is shown when there is something new
   * @param {Acts} acts
   */
  constructor(element, jump, acts) {
    this.#element = element;
    this.#list = element.querySelector("ol");
    this.#jump = jump;
    this.#acts = acts;
    jump.addEventListener("click", () => {
      this.scrollToEnd();
      element.focus();
    });
    element.addEventListener("scroll", () => {
      if (this.#isAtEnd) jump.hidden = true;
    }, { passive: true });
    // The keyboard of a phone, or a composer that grows, takes away from its height.
    let wasAtEnd = true;
    element.addEventListener("scroll", () => { wasAtEnd = this.#isAtEnd; }, { passive: true });
    new ResizeObserver(() => wasAtEnd && this.scrollToEnd()).observe(element);
  }

  /** Show these and no others. */
  fill(entries) {
    this.#rows = [];
    this.#missedKey = null;
    this.#list.replaceChildren();
    for (const entry of entries) this.#place(entry);
    this.#showEmpty();
    this.scrollToEnd();
  }

  /** Show a message, or what has become of it. */
  put(entry) {
    const wasAtEnd = this.#isAtEnd;
    const isNew = !this.#rows.some((row) => row.entry.key === entry.key);
    this.#place(entry);
    this.#showEmpty();
    if (wasAtEnd || (isNew && entry.isMine)) this.scrollToEnd();
    else if (isNew) this.#jump.hidden = false;
  }

  /** Show a message no more. */
  remove(key) {
    const place = this.#rows.findIndex(({ entry }) => entry.key === key);
    if (place < 0) return;
    const [{ bubble }] = this.#rows.splice(place, 1);
    if (bubble.element.contains(document.activeElement)) this.#element.focus();
    bubble.element.remove();
    this.#divideAt(place);
    this.#showEmpty();
  }

  /** Draw a line above the first of these messages, which came while one was away. */
  showMissed(keys) {
    this.#rows.find(({ entry }) => entry.key === this.#missedKey)?.bubble.showMissed(0);
    const first = this.#rows.find(({ entry }) => keys.has(entry.key));
    this.#missedKey = first?.entry.key ?? null;
    first?.bubble.showMissed(keys.size);
  }

  /** Say what can become of what is not sent. */
  showOnline(isOnline) {
    this.#isOnline = isOnline;
    for (const { entry, bubble } of this.#rows) {
      if (orderOf(entry) === Infinity) bubble.update(entry, isOnline);
    }
  }

  /** Go to the newest. */
  scrollToEnd() {
    this.#element.scrollTop = this.#element.scrollHeight;
    this.#jump.hidden = true;
  }

  get #isAtEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.#element;
    return scrollHeight - scrollTop - clientHeight < 60;
  }

  /** Put a message where it belongs: most are the newest. */
  #place(entry) {
    const at = this.#rows.findIndex((row) => row.entry.key === entry.key);
    const row = at < 0 ? { entry, bubble: new Bubble(entry, this.#acts) } : this.#rows[at];
    row.entry = entry;
    row.bubble.update(entry, this.#isOnline);
    if (at >= 0) this.#rows.splice(at, 1);
    let place = this.#rows.length;
    while (place > 0 && isBefore(entry, this.#rows[place - 1].entry)) place -= 1;
    this.#rows.splice(place, 0, row);
    if (place === at) return; // moving an element takes the focus from it
    const next = this.#rows[place + 1]?.bubble.element ?? null;
    this.#list.insertBefore(row.bubble.element, next);
    this.#divideAt(place);
    this.#divideAt(place + 1);
    if (at >= 0) this.#divideAt(at);
  }

  #divideAt(place) {
    this.#rows[place]?.bubble.divide(this.#rows[place - 1]?.entry);
  }

  #showEmpty() {
    this.#element.querySelector(".empty").hidden = this.#rows.length > 0;
  }
}

function isBefore(one, other) {
  const [first, second] = [orderOf(one), orderOf(other)];
  return first === second ? one.timestamp < other.timestamp : first < second;
}

/** What is on its way comes last: its time will be that of its arrival. */
function orderOf({ status, timestamp }) {
  return status === "queued" || status === "uploading" ? Infinity : timestamp;
}
