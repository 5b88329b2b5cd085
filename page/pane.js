/** A pane: one user's side, with the chats of that user, one of them shown. */

import { colourOf, element, fromTemplate, icon, showText } from "./element.js";
import { contentTypeOf, Files } from "./files.js";
import { Log } from "./log.js";
import { ChatClient, ChatError, LONGEST_TEXT, newId } from "./protocol.js";
import { chatIdIn } from "./start.js";
import { Memory } from "./storage.js";
import { errorInWords, missedInWords, problemInWords, stateInWords } from "./words.js";

/** @typedef {import("./bubble.js").Entry} Entry */

const ANNOUNCED_MS = 10_000;

/** One user's side of the page. */
export class Pane {
  #me;
  #hasToken;
  #client;
  #memory;
  #files;
  #log;
  #parts;
  #onUnread;
  /** @type {Map<string, Entry>} by key */
  #entries = new Map();
  /** @type {Map<string, Set<string>>} the keys of what was not seen, by chat */
  #unread = new Map();
  #uploads = new Map();
  #missed = new Set();
  /** @type {Map<string, string>} what is written and not sent, by chat */
  #drafts = new Map();
  /** What to complain of whenever there is nothing else. */
  #lasting = "";
  #chatId;
  #ticking;

  /**
   * @param {object} side
   * @param {string} side.me
   * @param {string} side.chatId
   * @param {string} side.backend
   * @param {string} side.token empty where there is none
   * @param {() => void} side.onLeave
   * @param {() => void} side.onUnread
   */
  constructor({ me, chatId, backend, token, onLeave, onUnread }) {
    this.#me = me;
    this.#hasToken = Boolean(token);
    this.#onUnread = onUnread;
    this.element = fromTemplate("chat");
    this.#parts = Object.fromEntries([
      "partner", "me", "avatar", "state", "toggle", "leave", "chats", "another", "problem", "log",
      "jump", "complaint", "composer", "file", "attach", "announcer",
    ].map((name) => [name, this.element.querySelector(`.${name}`)]));
    this.#parts.text = this.element.querySelector("textarea");
    this.#memory = new Memory(backend, me, () => {
      this.#lasting = "This browser has no more room: what you send now is lost when the page is "
        + "loaded again.";
      this.#complain(this.#lasting);
    });
    for (const message of this.#memory.messages()) this.#keep(this.#entryOfMessage(message));
    const outbox = this.#memory.outbox();
    for (const item of outbox) this.#keep(this.#entryOfItem(item));
    this.#client = new ChatClient({
      url: backend,
      userId: me,
      token,
      since: this.#memory.until,
      seen: [...this.#entries.keys()],
      outbox,
    });
    this.#files = new Files(this.#client);
    this.#log = new Log(this.#parts.log, this.#parts.jump, {
      download: (entry) => this.#download(entry),
      pictureOf: (entry, isFresh) => this.#files.pictureOf(entry, isFresh),
      retry: (entry) => this.#retry(entry),
      remove: (entry) => this.#discard(entry),
    });
    this.#parts.leave.addEventListener("click", onLeave);
    this.#listen();
    this.#wireControls();
    this.#show(chatId);
    this.#client.connect();
  }

  /** Whose side it is. */
  get me() {
    return this.#me;
  }

  /** Who is on the other side of the chat shown; empty if it is a chat of others. */
  get partner() {
    return partnerIn(this.#chatId, this.#me) ?? "";
  }

  /** How many messages were not seen. */
  get unread() {
    let count = 0;
    for (const keys of this.#unread.values()) count += keys.size;
    return count;
  }

  /** Say whether leaving the page would break an upload off. */
  get isUploading() {
    return this.#uploads.size > 0;
  }

  /** Begin to write. */
  focus() {
    this.#parts.text.focus();
  }

  /** See at once whether the connection is still there. */
  wake() {
    this.#client.wake();
  }

  /** Take the messages of the chat shown for seen, if they can be. */
  look() {
    if (document.hidden || this.element.offsetParent === null) return;
    if (!this.#unread.delete(this.#chatId)) return;
    this.#showChats();
    this.#onUnread();
  }

  /** End it. */
  close() {
    clearInterval(this.#ticking);
    for (const { abort } of this.#uploads.values()) abort.abort();
    this.#client.disconnect();
    this.#files.close();
  }

  // --- what the client tells -------------------------------------------------------------------

  #listen() {
    const on = (type, act) => this.#client.addEventListener(type, ({ detail }) => act(detail));
    on("state", () => this.#showState());
    on("error", (error) => this.#complain(errorInWords(error)));
    on("outbox", (item) => {
      this.#memory.keepItem(item);
      this.#keep(this.#entryOfItem(item));
    });
    on("ack", ({ item, ack }) => this.#acked(item, ack));
    on("message", (frame) => this.#received(frame));
    on("synced", ({ until, complete }) => {
      this.#memory.until = until;
      if (complete !== false) this.#caughtUp();
    });
  }

  #received(frame) {
    this.#memory.keepMessage(frame);
    if (frame.fileUrl) this.#files.remember(frame.fileKey, frame.fileUrl);
    const entry = this.#entryOfMessage(frame);
    this.#keep(entry);
    if (entry.isMine) return;
    if (this.#client.state.name === "catching-up") {
      this.#missed.add(entry.key);
    } else {
      this.#announce(`${entry.senderId}: ${entry.text ?? entry.file.name}`);
    }
    if (!this.#unread.has(entry.chatId)) this.#unread.set(entry.chatId, new Set());
    this.#unread.get(entry.chatId).add(entry.key);
    this.#showChats();
    this.#onUnread();
    this.look();
  }

  #acked(item, { messageId, timestamp, delivered, duplicate }) {
    const { chatId, text, fileKey, file, clientMessageId } = item;
    const status = delivered > 0 ? "delivered" : "stored";
    const message = {
      messageId, chatId, senderId: this.#me, timestamp, text, fileKey, status,
      duplicate, fileName: file?.name, contentType: file?.type, size: file?.size,
    };
    this.#memory.keepMessage(message);
    this.#memory.dropItem(item);
    this.#forget(clientMessageId);
    this.#keep(this.#entryOfMessage(message));
  }

  #caughtUp() {
    if (this.#missed.size === 0) return;
    const here = new Set(
      [...this.#missed].filter((key) => this.#entries.get(key)?.chatId === this.#chatId),
    );
    this.#log.showMissed(here);
    this.#announce(missedInWords(this.#missed.size));
    this.#missed.clear();
  }

  // --- entries ---------------------------------------------------------------------------------

  #entryOfMessage(message) {
    const { messageId, chatId, senderId, timestamp, text, fileKey, status, duplicate } = message;
    const { fileName = "a file", contentType, size } = message;
    const file = fileKey && { name: fileName, type: contentType, size };
    const isMine = senderId === this.#me;
    return {
      key: messageId, chatId, senderId, isMine, timestamp, text, fileKey, file, status, duplicate,
    };
  }

  #entryOfItem({ clientMessageId, chatId, createdAt, text, fileKey, file, status, error }) {
    return {
      key: clientMessageId, chatId, senderId: this.#me, isMine: true, timestamp: createdAt, text,
      fileKey, file, status, error,
    };
  }

  #keep(entry) {
    this.#entries.set(entry.key, entry);
    if (entry.chatId === this.#chatId) this.#log.put(entry);
  }

  #forget(key) {
    this.#entries.delete(key);
    this.#log.remove(key);
  }

  #retry(entry) {
    const upload = this.#uploads.get(entry.key);
    if (upload) this.#upload(entry, upload.file);
    else this.#client.retry(entry.key);
  }

  #discard(entry) {
    const upload = this.#uploads.get(entry.key);
    this.#uploads.delete(entry.key);
    upload?.abort.abort();
    this.#memory.dropItem({ clientMessageId: entry.key });
    this.#forget(entry.key);
    if (!upload) this.#client.discard(entry.key);
  }

  // --- files -----------------------------------------------------------------------------------

  #attach(files) {
    for (const file of files) {
      const entry = {
        key: newId(), chatId: this.#chatId, senderId: this.#me, isMine: true,
        timestamp: Date.now(), status: "uploading", progress: 0,
        file: { name: file.name, type: contentTypeOf(file), size: file.size },
      };
      this.#upload(entry, file);
    }
  }

  async #upload(entry, file) {
    this.#uploads.get(entry.key)?.abort.abort(); // the attempt before, if it still runs
    const abort = new AbortController();
    this.#uploads.set(entry.key, { file, abort });
    const show = (more) => this.#keep({
      ...entry, status: "uploading", error: undefined, progress: 0, ...more,
    });
    show();
    try {
      const fileKey = await this.#client.upload(entry.chatId, file, {
        contentType: entry.file.type,
        signal: abort.signal,
        onProgress: (progress) => show({ progress }),
      });
      this.#files.keep(fileKey, file);
      this.#client.send({ chatId: entry.chatId, fileKey, file: entry.file });
      this.#uploads.delete(entry.key);
      this.#forget(entry.key);
    } catch (error) {
      if (abort.signal.aborted) return;
      show({ status: "refused", error: { code: error.code, message: error.message } });
    }
  }

  async #download(entry) {
    if (this.#client.state.name === "offline") {
      throw new ChatError("download_failed", "You are offline.");
    }
    await this.#files.download(entry);
  }

  // --- what is shown ---------------------------------------------------------------------------

  #show(chatId) {
    const { text } = this.#parts;
    this.#drafts.set(this.#chatId, text.value);
    text.value = this.#drafts.get(chatId) ?? "";
    this.#chatId = chatId;
    const partner = partnerIn(chatId, this.#me);
    const title = partner ?? chatId;
    this.#parts.partner.textContent = title;
    this.#parts.me.textContent = this.#me;
    colourOf(this.#parts.avatar, title);
    this.element.setAttribute("aria-label", `${this.#me}, talking to ${title}`);
    this.#parts.log.setAttribute("aria-label", `Messages with ${title}`);
    this.#complain("");
    this.#log.fill([...this.#entries.values()].filter((entry) => entry.chatId === chatId));
    this.#showChats();
    this.look();
  }

  #showChats() {
    const chatIds = new Set([this.#chatId]);
    for (const { chatId } of this.#entries.values()) chatIds.add(chatId);
    for (const [chatId, draft] of this.#drafts) if (draft) chatIds.add(chatId);
    const chips = [...chatIds].sort().map((chatId) => {
      const title = partnerIn(chatId, this.#me) ?? chatId;
      const count = this.#unread.get(chatId)?.size ?? 0;
      const name = element("span", { className: "name" }, title);
      const chip = element("button", { type: "button", className: "chip" }, name);
      if (count) chip.append(element("span", { className: "count" }, `${count} new`));
      chip.dataset.chat = chatId;
      if (chatId === this.#chatId) chip.setAttribute("aria-current", "true");
      chip.addEventListener("click", () => {
        this.#show(chatId);
        this.focus();
      });
      return chip;
    });
    const another = element("button", { type: "button", className: "chip" }, icon("plus"), "New chat");
    another.addEventListener("click", () => {
      this.#parts.another.hidden = false;
      this.#parts.another.elements.partner.focus();
    });
    another.dataset.chat = "";
    const { chats } = this.#parts;
    // A new chat may come before the one that has the focus.
    const focused = chats.contains(document.activeElement) && document.activeElement.dataset.chat;
    chats.replaceChildren(...chips, another);
    [...chats.children].find((chip) => chip.dataset.chat === focused)?.focus();
  }

  #showState() {
    clearInterval(this.#ticking);
    const { state } = this.#client;
    const isOnline = state.name === "connected" || state.name === "catching-up";
    const words = this.#parts.state.querySelector(".words");
    const show = () => showText(words, stateInWords(state));
    show();
    if (state.name === "waiting") this.#ticking = setInterval(show, 250);
    this.#parts.state.dataset.state = state.name;
    this.#parts.toggle.textContent = state.name === "offline" ? "Go online" : "Go offline";
    this.#log.showOnline(isOnline);
    // It stays while the next attempt is under way, which says nothing new.
    if (state.name !== "connecting") {
      showText(this.#parts.problem, problemInWords(state, { hasToken: this.#hasToken }));
    }
    if (state.name === "connected") this.#announce("You are connected");
    if (state.name === "waiting" && state.problem === "lost") this.#announce("The connection is lost");
  }

  #complain(words) {
    showText(this.#parts.complaint, words || this.#lasting);
  }

  /** Say it to those who listen, after what was said shortly before. */
  #announce(words) {
    const line = element("p", {}, words);
    this.#parts.announcer.append(line);
    setTimeout(() => line.remove(), ANNOUNCED_MS);
  }

  // --- what its user does ----------------------------------------------------------------------

  #wireControls() {
    const { toggle, composer, text, attach, file, another } = this.#parts;
    toggle.addEventListener("click", () => {
      if (this.#client.state.name === "offline") this.#client.connect();
      else this.#client.disconnect();
    });
    composer.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
    });
    text.addEventListener("keydown", (event) => {
      // While a word is being composed, Enter ends the word.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#say();
    });
    text.addEventListener("input", () => this.#complain(""));
    text.addEventListener("paste", (event) => {
      if (event.clipboardData.files.length === 0) return;
      event.preventDefault();
      this.#attach(event.clipboardData.files);
    });
    attach.addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      this.#attach(file.files);
      file.value = "";
    });
    this.element.addEventListener("dragover", (event) => {
      if (event.dataTransfer.types.includes("Files")) event.preventDefault();
    });
    this.element.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#attach(event.dataTransfer.files);
    });
    another.addEventListener("submit", (event) => {
      event.preventDefault();
      try {
        this.#show(chatIdIn(another.elements.partner.value, this.#me));
      } catch (error) {
        this.#complain(errorInWords(error));
        return;
      }
      this.#hideAnother();
    });
    another.querySelector(".cancel").addEventListener("click", () => this.#hideAnother());
    another.addEventListener("keydown", ({ key }) => key === "Escape" && this.#hideAnother());
  }

  #hideAnother() {
    const { another } = this.#parts;
    another.reset();
    another.hidden = true;
    this.#complain("");
    this.focus();
  }

  #say() {
    const { text } = this.#parts;
    const words = text.value.trim();
    const length = [...words].length;
    if (length === 0) return;
    if (length > LONGEST_TEXT) {
      this.#complain(`Too long: ${length} characters. A message may have ${LONGEST_TEXT}.`);
      return;
    }
    this.#complain("");
    try {
      this.#client.send({ chatId: this.#chatId, text: words });
      text.value = "";
    } catch (error) {
      this.#complain(errorInWords(error));
    }
  }
}

/** Name the other side of a chat; none if `me` is on neither. */
function partnerIn(chatId, me) {
  const members = chatId.split("#");
  if (members.length !== 2 || !members.includes(me)) return null;
  return members[0] === me ? members[1] : members[0];
}
