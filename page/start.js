/** The form in which one says who one is, and whom one talks to. */

import { fromTemplate, showText } from "./element.js";
import { ChatError, USER_ID, chatIdOf, claimsOf } from "./protocol.js";
import { forgetEverything } from "./storage.js";
import { errorInWords } from "./words.js";

/**
 * Read whom somebody talks to: a user id, or the id of a chat, which may be one of others: it is for
 * the backend to refuse.
 * @param {string} written
 * @param {string} me
 * @returns {string} the chat's id
 * @throws {ChatError}
 */
export function chatIdIn(written, me) {
  const partner = written.trim();
  if (partner.includes("#")) return chatIdOf(...partner.split("#", 2));
  if (!USER_ID.test(partner)) throw noSuchUser("You talk to");
  if (partner === me) {
    throw new ChatError("invalid_request", "A chat is two users: choose somebody else to talk to.");
  }
  return chatIdOf(me, partner);
}

/**
 * Make the form.
 * @param {object} options
 * @param {{me: string, partner: string}} options.side what is filled in
 * @param {string} options.backend
 * @param {boolean} options.wantsToken whether there was a token, which is not kept
 * @param {boolean} options.isAlone whether it may open both sides
 * @param {(start: {me: string, chatId: string, backend: string, token: string,
 *   both: boolean}) => void} options.onStart
 * @returns {HTMLFormElement}
 */
export function startForm({ side, backend, wantsToken, isAlone, onStart }) {
  const form = fromTemplate("start");
  const { me, partner, backend: address, token, both } = form.elements;
  const complaint = form.querySelector(".complaint");
  me.value = side.me;
  partner.value = side.partner;
  address.value = backend;
  form.querySelector("details").open = wantsToken;
  both.hidden = !isAlone;
  if (wantsToken) showText(complaint, "Paste the token again: it is never stored.");
  // What was filled in gives way to whom the token names; what a person typed does not.
  let isTyped = false;
  me.addEventListener("input", () => {
    isTyped = me.value !== "";
  });
  token.addEventListener("change", () => {
    const named = claimsOf(token.value.trim())?.sub;
    if (typeof named === "string" && !isTyped) me.value = named;
  });
  form.querySelector(".forget").addEventListener("click", () => {
    try {
      forgetEverything();
      showText(complaint, "All messages that this browser kept are forgotten.");
    } catch (error) {
      showText(complaint, errorInWords(error));
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const start = {
      me: me.value.trim() || me.placeholder,
      backend: address.value.trim(),
      token: token.value.trim(),
      both: event.submitter === both,
    };
    try {
      check(start);
      start.chatId = chatIdIn(partner.value.trim() || partner.placeholder, start.me);
      onStart(start);
    } catch (error) {
      showText(complaint, errorInWords(error));
      if (!(error instanceof ChatError)) throw error; // a mistake of the page's
    }
  });
  return form;
}

function check({ me, backend, token }) {
  if (!USER_ID.test(me)) throw noSuchUser("You are");
  if (!/^wss?:\/\/[^\s/]+/.test(backend)) {
    throw new ChatError("bad_address", "A backend's address begins with wss:// or ws://.");
  }
  if (token && !claimsOf(token)) {
    throw new ChatError("bad_token", "It is not of the form of a JSON Web Token.");
  }
}

function noSuchUser(field) {
  return new ChatError(
    "bad_user_id", `"${field}" takes 1 to 128 of A-Z a-z 0-9 . _ @ + = : | - ' ~ and nothing else.`,
  );
}
