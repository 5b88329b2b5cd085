/** The header of a pane: who talks to whom, and what others see of the user. */

import { find, showAvatar } from "./dom.js";

/** Shows the partner of the chat. */
export class PaneHeader {
  #pane;
  #me;
  #partner;
  #avatar;

  /**
   * @param {HTMLElement} pane
   * @param {{me: string, onLeave: () => void}} options
   */
  constructor(pane, { me, onLeave }) {
    this.#pane = pane;
    this.#me = me;
    this.#partner = find(pane, ".partner", HTMLElement);
    this.#avatar = find(pane, ".avatar", HTMLElement);
    const user = find(pane, ".me", HTMLElement);
    user.textContent = me;
    user.title = me;
    find(pane, ".leave", HTMLButtonElement).addEventListener("click", onLeave);
    const signals = find(pane, ".signals", HTMLFieldSetElement);
    const privacy = find(pane, ".privacy", HTMLButtonElement);
    privacy.addEventListener("click", () => {
      signals.hidden = !signals.hidden;
      privacy.ariaExpanded = String(!signals.hidden);
    });
  }

  /** @param {string} name the partner, or a chat's id */
  show(name) {
    this.#partner.textContent = name;
    this.#partner.title = name;
    showAvatar(this.#avatar, name);
    this.#pane.setAttribute("aria-label", `${this.#me}, talking to ${name}`);
  }
}
