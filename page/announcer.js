/** Texts for screen readers. */

import { createElement } from "./dom.js";

// How long the text of a live region stays, so that a screen reader can finish it.
const ANNOUNCEMENT_MS = 10_000;

/** A live region that is not visible. */
export class Announcer {
  #element;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
  }

  /**
   * Have screen readers read a text, after those that were announced shortly before.
   * @param {string} text
   */
  announce(text) {
    const line = createElement("p", {}, text);
    this.#element.append(line);
    setTimeout(() => line.remove(), ANNOUNCEMENT_MS);
  }
}
