/** The history of a chat: which part of it is loaded, and loading more. */

import { ChatError } from "./protocol.js";

/** @typedef {import("./protocol.js").ReceivedMessage} ReceivedMessage */

/**
 * What is known of a chat's history.
 *
 * | state     | means                                                    |
 * | --------- | -------------------------------------------------------- |
 * | `unknown` | nothing is loaded: there was no connection yet           |
 * | `loading` | a page is requested                                      |
 * | `partial` | there are older messages                                 |
 * | `whole`   | it is loaded up to the start of the chat                 |
 * | `failed`  | a page could not be loaded: {@link ChatHistory#error}    |
 * @typedef {"unknown" | "loading" | "partial" | "whole" | "failed"} HistoryState
 */

// A message may be stored after one with a later timestamp: an integration runs for up to 29 s.
const OVERLAP_MS = 60_000;
// What is between the newest page and the messages that are loaded already is loaded in few pages.
const GAP_PAGE_LIMIT = 100;

/** The loaded part of one chat, which has no gaps. */
export class ChatHistory {
  #client;
  #chatId;
  #onMessages;
  #onState;
  /** Whether the newest page was loaded on this connection: what came later was pushed. */
  #isCurrent = false;
  /** To which timestamp the next newest page must reach. */
  #connectsAt = Infinity;

  /** All messages from this timestamp on are loaded; Infinity if none are. */
  from = Infinity;
  /** @type {HistoryState} */
  state = "unknown";
  /** @type {ChatError | null} why the last page was not loaded */
  error = null;

  /**
   * @param {import("./protocol.js").ChatClient} client
   * @param {string} chatId
   * @param {object} listeners
   * @param {(messages: ReceivedMessage[], isFirst: boolean) => void} listeners.onMessages is called
   *   with each page, oldest message first, after `from` has changed
   * @param {() => void} listeners.onState is called when `state` changes
   */
  constructor(client, chatId, { onMessages, onState }) {
    this.#client = client;
    this.#chatId = chatId;
    this.#onMessages = onMessages;
    this.#onState = onState;
  }

  /** Whether everything in the chat that is newer than the loaded part's start is loaded. */
  get isCurrent() {
    return this.#isCurrent;
  }

  /** Load the newest page, and what is between it and the loaded part. Once for each connection. */
  loadNewest() {
    if (this.#isCurrent) return;
    this.#load(async () => {
      let page = await this.#loadPage({});
      while (page.more && page.before > this.#connectsAt) {
        page = await this.#loadPage({ before: page.before, limit: GAP_PAGE_LIMIT });
      }
      this.#isCurrent = true;
    });
  }

  /** Load the page before the loaded part, if there is one. */
  loadOlder() {
    if (this.state !== "partial" || !this.#isCurrent) return;
    this.#load(() => this.#loadPage({ before: this.from }));
  }

  /** Load again what could not be loaded. */
  retry() {
    if (this.state !== "failed") return;
    this.state = this.#stateOfPart;
    if (this.#isCurrent) this.loadOlder();
    else this.loadNewest();
  }

  /**
   * Note that messages may be missed from now on.
   * @param {number} newest the timestamp of the newest message that was loaded or pushed
   */
  disconnected(newest) {
    if (!this.#isCurrent) return;
    this.#isCurrent = false;
    this.#connectsAt = newest - OVERLAP_MS;
  }

  /** @param {() => Promise<unknown>} load */
  async #load(load) {
    if (this.state === "loading") return;
    this.error = null;
    this.#setState("loading");
    try {
      await load();
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      if (error.code !== "disconnected") {
        this.error = error;
        this.#setState("failed");
        return;
      }
    }
    this.#setState(this.#stateOfPart);
  }

  /**
   * @param {{before?: number, limit?: number}} range
   * @returns {Promise<{more: boolean, before: number}>}
   */
  async #loadPage(range) {
    const { messages, more, before = 0 } = await this.#client.history(this.#chatId, range);
    const isFirst = this.from === Infinity;
    if (!more) this.from = 0;
    else if (isFirst || before < this.from) this.from = before;
    this.#onMessages(messages, isFirst);
    return { more, before };
  }

  get #stateOfPart() {
    if (this.from === Infinity) return "unknown";
    return this.from === 0 ? "whole" : "partial";
  }

  /** @param {HistoryState} state */
  #setState(state) {
    this.state = state;
    this.#onState();
  }
}
