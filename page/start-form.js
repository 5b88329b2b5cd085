/** The form that asks for the user, the partner and the backend. */

import { chatIdFrom, requireUserId } from "./chats.js";
import { cloneTemplate, find, showText } from "./dom.js";
import { FieldError, readField, showFieldError } from "./fields.js";
import { formatThrown } from "./format.js";
import { ChatError, claimsOf, newId } from "./protocol.js";
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
    this.#parts.aboutToken.id = `about-token-${newId()}`;
    this.#parts.token.setAttribute("aria-describedby", this.#parts.aboutToken.id);
    this.#listen();
  }

  /** Focus the first input. */
  focus() {
    this.#parts.me.focus();
  }

  /** Open and focus the field for a token; the form must be on the page. */
  askForToken() {
    this.#parts.details.open = true;
    this.#parts.token.focus();
  }

  /** Say that the token is needed again, if there is none. */
  requireToken() {
    if (this.#parts.token.value) return;
    this.#parts.details.open = true;
    showFieldError(this.#parts.token, "Paste the token again: it is never stored.");
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
        showText(alert, "What this browser kept is forgotten.");
      } catch (error) {
        showText(alert, formatThrown(error));
      }
    });
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      try {
        this.#onStart(this.#start(event.submitter === openBoth));
      } catch (error) {
        if (error instanceof FieldError) {
          this.#showFieldError(error);
          return;
        }
        showText(alert, formatThrown(error));
        if (!(error instanceof ChatError)) throw error; // a bug of the page
      }
    });
  }

  /** @param {FieldError} error */
  #showFieldError({ input, message }) {
    const { details } = this.#parts;
    if (details.contains(input)) details.open = true;
    showFieldError(input, message);
  }

  /**
   * @param {boolean} opensBoth
   * @returns {Start}
   * @throws {FieldError} if something is not valid
   */
  #start(opensBoth) {
    const { me: user, partner } = this.#parts;
    const me = readField(user, (input) => requireUserId(input || user.placeholder, "You are"));
    const chatId = readField(partner, (input) => chatIdFrom(input || partner.placeholder, me));
    const backend = readField(this.#parts.backend, requireBackend);
    const token = readField(this.#parts.token, requireTokenForm);
    return { me, chatId, backend, token, opensBoth };
  }
}

/** @param {string} address */
function requireBackend(address) {
  if (/^wss?:\/\/[^\s/]+/.test(address)) return address;
  throw new ChatError("bad_address", "A backend's address begins with wss:// or ws://.");
}

/** @param {string} token may be empty */
function requireTokenForm(token) {
  if (!token || claimsOf(token)) return token;
  throw new ChatError("bad_token", "It is not of the form of a JSON Web Token.");
}

/** @param {HTMLFormElement} form */
function partsOf(form) {
  return {
    me: find(form, "[name=me]", HTMLInputElement),
    partner: find(form, "[name=partner]", HTMLInputElement),
    backend: find(form, "[name=backend]", HTMLInputElement),
    token: find(form, "[name=token]", HTMLInputElement),
    aboutToken: find(form, ".about", HTMLElement),
    details: find(form, "details", HTMLDetailsElement),
    deleteAll: find(form, ".delete-all", HTMLButtonElement),
    alert: find(form, ".alert", HTMLElement),
    openBoth: find(form, ".open-both", HTMLButtonElement),
  };
}
