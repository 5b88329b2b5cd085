/** The form that asks for the user, the partner and the backend. */

import { chatIdFrom, requireUserId } from "./chats.js";
import { cloneTemplate, find, showText } from "./dom.js";
import { formatThrown } from "./format.js";
import { ChatError, claimsOf } from "./protocol.js";
import { deleteAllData } from "./storage.js";

/**
 * What the form was filled in with.
 * @typedef {object} Start
 * @property {string} me
 * @property {string} chatId
 * @property {string} backend
 * @property {string} token empty if there is none
 * @property {boolean} opensBoth whether the partner's pane should be opened, too
 */

/** The form, which calls `onStart` when it is valid. */
export class StartForm {
  #parts;
  #onStart;

  /**
   * @param {object} options
   * @param {import("./address.js").Participants} options.participants what is filled in
   * @param {string} options.backend
   * @param {boolean} options.needsToken whether there was a token, which is not stored
   * @param {boolean} options.canOpenBoth
   * @param {(start: Start) => void} options.onStart
   */
  constructor({ participants, backend, needsToken, canOpenBoth, onStart }) {
    this.element = cloneTemplate("start-form", HTMLFormElement);
    this.#parts = partsOf(this.element);
    this.#onStart = onStart;
    this.#parts.me.value = participants.me;
    this.#parts.partner.value = participants.partner;
    this.#parts.backend.value = backend;
    this.#parts.details.open = needsToken;
    this.#parts.openBoth.hidden = !canOpenBoth;
    if (needsToken) showText(this.#parts.alert, "Paste the token again: it is never stored.");
    this.#listen();
  }

  /** Focus the first input. */
  focus() {
    this.#parts.me.focus();
  }

  /**
   * Fill in the token.
   * @param {string} token
   */
  setToken(token) {
    this.#parts.token.value = token;
  }

  /** Submit the form as it is filled in. */
  submit() {
    this.element.requestSubmit();
  }

  #listen() {
    const { me, token, openBoth, deleteAll, alert } = this.#parts;
    // The user id of the token replaces one that was filled in, but not one that was typed.
    let isTyped = false;
    me.addEventListener("input", () => {
      isTyped = me.value !== "";
    });
    token.addEventListener("change", () => {
      const userId = claimsOf(token.value.trim())?.sub;
      if (typeof userId === "string" && !isTyped) me.value = userId;
    });
    deleteAll.addEventListener("click", () => {
      try {
        deleteAllData();
        showText(alert, "All messages that this browser kept are forgotten.");
      } catch (error) {
        showText(alert, formatThrown(error));
      }
    });
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      try {
        this.#onStart(this.#start(event.submitter === openBoth));
      } catch (error) {
        showText(alert, formatThrown(error));
        if (!(error instanceof ChatError)) throw error; // a bug of the page
      }
    });
  }

  /**
   * @param {boolean} opensBoth
   * @returns {Start}
   * @throws {ChatError} if something is not valid
   */
  #start(opensBoth) {
    const { partner } = this.#parts;
    const me = this.#parts.me.value.trim() || this.#parts.me.placeholder;
    const backend = this.#parts.backend.value.trim();
    const token = this.#parts.token.value.trim();
    requireUserId(me, "You are");
    if (!/^wss?:\/\/[^\s/]+/.test(backend)) {
      throw new ChatError("bad_address", "A backend's address begins with wss:// or ws://.");
    }
    if (token && !claimsOf(token)) {
      throw new ChatError("bad_token", "It is not of the form of a JSON Web Token.");
    }
    const chatId = chatIdFrom(partner.value.trim() || partner.placeholder, me);
    return { me, chatId, backend, token, opensBoth };
  }
}

/** @param {HTMLFormElement} form */
function partsOf(form) {
  return {
    me: find(form, "[name=me]", HTMLInputElement),
    partner: find(form, "[name=partner]", HTMLInputElement),
    backend: find(form, "[name=backend]", HTMLInputElement),
    token: find(form, "[name=token]", HTMLInputElement),
    details: find(form, "details", HTMLDetailsElement),
    deleteAll: find(form, ".delete-all", HTMLButtonElement),
    alert: find(form, ".alert", HTMLElement),
    openBoth: find(form, ".open-both", HTMLButtonElement),
  };
}
