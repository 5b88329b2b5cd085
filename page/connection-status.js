/** What the connection is doing, why there is none, and what the user can do about it. */

import { showText } from "./dom.js";
import { formatProblem, formatState } from "./format.js";

/** @typedef {import("./protocol.js").State} State */

// Browsers do not tell a refused token from a backend that does not respond. A token that no
// connection was opened with is not tried more often.
const MAX_ATTEMPTS_WITH_NEW_TOKEN = 4;
const TOKEN_ERRORS = ["bad_token", "no_token", "token_expired"];

/**
 * @typedef {object} StatusParts
 * @property {HTMLElement} state
 * @property {HTMLElement} stateLabel
 * @property {HTMLElement} notice a live region
 * @property {HTMLButtonElement} enterToken
 * @property {HTMLButtonElement} toggle connects and disconnects
 */

/** Shows the state of a client's connection. */
export class ConnectionStatus {
  #parts;
  #client;
  #hasToken;
  #countdown = 0;
  /** How many attempts failed before a connection was opened. */
  #failedAttempts = 0;
  #wasOpen = false;

  /**
   * @param {StatusParts} parts
   * @param {import("./protocol.js").ChatClient} client
   * @param {{hasToken: boolean}} options
   */
  constructor(parts, client, { hasToken }) {
    this.#parts = parts;
    this.#client = client;
    this.#hasToken = hasToken;
    parts.toggle.addEventListener("click", () => {
      this.#failedAttempts = 0;
      if (client.state.name === "offline") client.connect();
      else client.disconnect();
    });
    client.addEventListener("state", ({ detail }) => this.#onState(detail));
    this.#show();
  }

  /** Stop the countdown. */
  close() {
    clearInterval(this.#countdown);
  }

  /** @param {State} state */
  #onState(state) {
    if (state.name === "catching-up") this.#wasOpen = true;
    if (state.name === "waiting" && state.problem === "unreachable") {
      this.#failedAttempts += 1;
      if (this.#hasGivenUp) {
        this.#client.disconnect(); // the next state is shown
        return;
      }
    }
    this.#show();
  }

  get #hasGivenUp() {
    return this.#hasToken && !this.#wasOpen
      && this.#failedAttempts >= MAX_ATTEMPTS_WITH_NEW_TOKEN;
  }

  #show() {
    clearInterval(this.#countdown);
    const { state } = this.#client;
    const { stateLabel, toggle, notice, enterToken } = this.#parts;
    const hasGivenUp = state.name === "offline" && this.#hasGivenUp;
    const showLabel = () => showText(stateLabel, formatState(state, { hasGivenUp }));
    showLabel();
    if (state.name === "waiting") this.#countdown = setInterval(showLabel, 250);
    this.#parts.state.dataset.state = state.name;
    toggle.textContent = state.name === "offline" ? "Go online" : "Go offline";
    // The notice stays during the next attempt, which brings no news until it ends.
    if (state.name === "connecting") return;
    showText(notice, formatProblem(state, { hasToken: this.#hasToken, hasGivenUp }));
    const mayNeedToken = hasGivenUp || (state.error ? TOKEN_ERRORS.includes(state.error.code)
      : state.name === "waiting" && state.problem === "unreachable");
    enterToken.hidden = !mayNeedToken;
  }
}
