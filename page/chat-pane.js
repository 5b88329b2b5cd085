/** The pane of one user: the chats of that user, of which one is shown. */

import { chatIdFrom, partnerIn } from "./chats.js";
import { cloneTemplate, createElement, createIcon, find, showAvatar, showText } from "./dom.js";
import { Files, contentTypeOf } from "./files.js";
import { formatError, formatMissed, formatProblem, formatState, formatThrown } from "./format.js";
import { MessageList } from "./message-list.js";
import { ChatClient, ChatError, MAX_TEXT_LENGTH, newId } from "./protocol.js";
import { ChatStorage } from "./storage.js";

/** @typedef {import("./message-view.js").Entry} Entry */
/** @typedef {import("./protocol.js").OutboxItem} OutboxItem */
/** @typedef {import("./storage.js").StoredMessage} StoredMessage */

// How long the text of a live region stays, so that a screen reader can finish it.
const ANNOUNCEMENT_MS = 10_000;

/** The chats of one user. */
export class ChatPane {
  #me;
  #hasToken;
  #client;
  #storage;
  #files;
  #list;
  #parts;
  #onUnread;
  /** @type {Map<string, Entry>} by key */
  #entries = new Map();
  /** @type {Map<string, Set<string>>} the keys of unread messages, by chat id */
  #unread = new Map();
  /** @type {Map<string, {file: File, abort: AbortController}>} by key */
  #uploads = new Map();
  /** @type {Set<string>} the keys of the messages of the current catch-up */
  #missed = new Set();
  /** @type {Map<string, string>} texts that are not sent, by chat id */
  #drafts = new Map();
  /** The alert that is shown when there is no other. */
  #permanentAlert = "";
  #chatId;
  #countdown = 0;

  /**
   * @param {object} options
   * @param {string} options.me
   * @param {string} options.chatId
   * @param {string} options.backend
   * @param {string} options.token empty if there is none
   * @param {() => void} options.onLeave
   * @param {() => void} options.onUnread is called when `unread` changes
   */
  constructor({ me, chatId, backend, token, onLeave, onUnread }) {
    this.#me = me;
    this.#chatId = chatId;
    this.#hasToken = Boolean(token);
    this.#onUnread = onUnread;
    this.element = cloneTemplate("chat-pane", HTMLElement);
    this.#parts = partsOf(this.element);
    this.#storage = new ChatStorage(backend, me, () => {
      this.#permanentAlert = "This browser has no more room: what you send now is lost when the page "
        + "is loaded again.";
      this.#showAlert(this.#permanentAlert);
    });
    for (const message of this.#storage.messages()) this.#store(this.#entryOfMessage(message));
    const outbox = this.#storage.outbox();
    for (const item of outbox) this.#store(this.#entryOfItem(item));
    this.#client = new ChatClient({
      url: backend,
      userId: me,
      token,
      since: this.#storage.until,
      seen: [...this.#entries.keys()],
      outbox,
    });
    this.#files = new Files(this.#client);
    this.#list = new MessageList(this.#parts.list, this.#parts.jump, {
      download: (stored) => this.#download(stored),
      previewUrl: (stored, options) => this.#files.previewUrl(stored, options),
      retry: (entry) => this.#retry(entry),
      remove: (entry) => this.#remove(entry),
    });
    this.#parts.leave.addEventListener("click", onLeave);
    this.#listenToClient();
    this.#listenToControls();
    this.#showChat(chatId);
    this.#client.connect();
  }

  /** The partner in the chat that is shown; empty if the user is not in it. */
  get partner() {
    return partnerIn(this.#chatId, this.#me) ?? "";
  }

  /** How many messages are unread. */
  get unread() {
    let count = 0;
    for (const keys of this.#unread.values()) count += keys.size;
    return count;
  }

  /** Whether leaving the page would cancel an upload. */
  get isUploading() {
    return this.#uploads.size > 0;
  }

  /** Focus the input for a message. */
  focus() {
    this.#parts.text.focus();
  }

  /** Check the connection now. */
  checkConnection() {
    this.#client.checkConnection();
  }

  /** Mark the messages of the chat that is shown as read, if the pane is visible. */
  markRead() {
    if (document.hidden || this.element.offsetParent === null) return;
    if (!this.#unread.delete(this.#chatId)) return;
    this.#showChats();
    this.#onUnread();
  }

  /** Disconnect, and cancel the uploads. */
  close() {
    clearInterval(this.#countdown);
    for (const { abort } of this.#uploads.values()) abort.abort();
    this.#client.disconnect();
    this.#files.close();
  }

  // --- events of the client ----------------------------------------------------------------------

  #listenToClient() {
    this.#client.addEventListener("state", () => this.#showState());
    this.#client.addEventListener("error", ({ detail }) => this.#showAlert(formatError(detail)));
    this.#client.addEventListener("outbox", ({ detail }) => {
      this.#storage.storeItem(detail);
      this.#put(this.#entryOfItem(detail));
    });
    this.#client.addEventListener("ack", ({ detail }) => this.#onAck(detail));
    this.#client.addEventListener("message", ({ detail }) => this.#onMessage(detail));
    this.#client.addEventListener("synced", ({ detail }) => {
      this.#storage.until = detail.until;
      if (detail.complete !== false) this.#showMissed();
    });
  }

  /** @param {import("./protocol.js").MessageFrame} frame */
  #onMessage(frame) {
    this.#storage.storeMessage(frame);
    if (frame.fileKey && frame.fileUrl) this.#files.storeLink(frame.fileKey, frame.fileUrl);
    const entry = this.#entryOfMessage(frame);
    this.#put(entry);
    if (entry.isMine) return;
    if (this.#client.state.name === "catching-up") {
      this.#missed.add(entry.key);
    } else {
      this.#announce(`${entry.senderId}: ${entry.text ?? entry.file?.name ?? ""}`);
    }
    const unread = this.#unread.get(entry.chatId) ?? new Set();
    this.#unread.set(entry.chatId, unread.add(entry.key));
    this.#showChats();
    this.#onUnread();
    this.markRead();
  }

  /** @param {import("./protocol.js").Acknowledged} acknowledged */
  #onAck({ item, ack: { messageId, timestamp, delivered, duplicate } }) {
    const { chatId, text, fileKey, file, clientMessageId } = item;
    /** @type {StoredMessage} */
    const message = {
      messageId, chatId, senderId: this.#me, timestamp, text, fileKey,
      status: delivered > 0 ? "delivered" : "stored", duplicate,
      fileName: file?.name, contentType: file?.type, size: file?.size,
    };
    this.#storage.storeMessage(message);
    this.#storage.removeItem(clientMessageId);
    this.#removeEntry(clientMessageId);
    this.#put(this.#entryOfMessage(message));
  }

  #showMissed() {
    if (this.#missed.size === 0) return;
    const inThisChat = [...this.#missed].filter(
      (key) => this.#entries.get(key)?.chatId === this.#chatId);
    this.#list.showMissed(new Set(inThisChat));
    this.#announce(formatMissed(this.#missed.size));
    this.#missed.clear();
  }

  // --- entries -----------------------------------------------------------------------------------

  /**
   * @param {StoredMessage} message
   * @returns {Entry}
   */
  #entryOfMessage(message) {
    const { messageId, chatId, senderId, timestamp, text, fileKey, status, duplicate } = message;
    const { fileName = "a file", contentType, size } = message;
    return {
      key: messageId, chatId, senderId, isMine: senderId === this.#me, timestamp, text, fileKey,
      file: fileKey ? { name: fileName, type: contentType, size } : undefined, status,
      isDuplicate: duplicate,
    };
  }

  /**
   * @param {OutboxItem} item
   * @returns {Entry}
   */
  #entryOfItem({ clientMessageId, chatId, createdAt, text, fileKey, file, status, error }) {
    return {
      key: clientMessageId, chatId, senderId: this.#me, isMine: true, timestamp: createdAt, text,
      fileKey, file, status, error,
    };
  }

  /** @param {Entry} entry */
  #store(entry) {
    this.#entries.set(entry.key, entry);
  }

  /** @param {Entry} entry */
  #put(entry) {
    this.#store(entry);
    if (entry.chatId === this.#chatId) this.#list.put(entry);
  }

  /** @param {string} key */
  #removeEntry(key) {
    this.#entries.delete(key);
    this.#list.remove(key);
  }

  /** @param {Entry} entry */
  #retry(entry) {
    const upload = this.#uploads.get(entry.key);
    if (upload) this.#upload(entry, upload.file);
    else this.#client.retry(entry.key);
  }

  /** @param {Entry} entry */
  #remove(entry) {
    const upload = this.#uploads.get(entry.key);
    this.#uploads.delete(entry.key);
    upload?.abort.abort();
    this.#storage.removeItem(entry.key);
    this.#removeEntry(entry.key);
    if (!upload) this.#client.discard(entry.key);
  }

  // --- files -------------------------------------------------------------------------------------

  /** @param {Iterable<File>} files */
  #attach(files) {
    for (const file of files) {
      this.#upload({
        key: newId(), chatId: this.#chatId, senderId: this.#me, isMine: true,
        timestamp: Date.now(),
        file: { name: file.name, type: contentTypeOf(file), size: file.size },
      }, file);
    }
  }

  /**
   * @param {Entry} entry
   * @param {File} file
   */
  async #upload(entry, file) {
    this.#uploads.get(entry.key)?.abort.abort(); // the previous attempt, if it is not over
    const abort = new AbortController();
    this.#uploads.set(entry.key, { file, abort });
    /** @param {Partial<Entry>} changes */
    const show = (changes) => this.#put({
      ...entry, status: "uploading", error: undefined, progress: 0, ...changes,
    });
    show({});
    try {
      const fileKey = await this.#client.upload(entry.chatId, file, {
        contentType: entry.file?.type,
        signal: abort.signal,
        onProgress: (progress) => show({ progress }),
      });
      this.#files.storeSent(fileKey, file);
      this.#client.send({ chatId: entry.chatId, fileKey, file: entry.file });
      this.#uploads.delete(entry.key);
      this.#removeEntry(entry.key);
    } catch (error) {
      if (abort.signal.aborted) return;
      const { code, message } = error instanceof ChatError ? error
        : new ChatError("upload_failed", String(error));
      show({ status: "refused", error: { code, message } });
    }
  }

  /** @param {import("./files.js").StoredFile} stored */
  async #download(stored) {
    if (this.#client.state.name === "offline") {
      throw new ChatError("download_failed", "You are offline.");
    }
    await this.#files.download(stored);
  }

  // --- what is shown -----------------------------------------------------------------------------

  /** @param {string} chatId */
  #showChat(chatId) {
    const { text } = this.#parts;
    this.#drafts.set(this.#chatId, text.value);
    text.value = this.#drafts.get(chatId) ?? "";
    this.#chatId = chatId;
    const title = partnerIn(chatId, this.#me) ?? chatId;
    this.#parts.partner.textContent = title;
    this.#parts.me.textContent = this.#me;
    showAvatar(this.#parts.avatar, title);
    this.element.setAttribute("aria-label", `${this.#me}, talking to ${title}`);
    this.#parts.list.setAttribute("aria-label", `Messages with ${title}`);
    this.#showAlert("");
    this.#list.setEntries([...this.#entries.values()].filter((entry) => entry.chatId === chatId));
    this.#showChats();
    this.markRead();
  }

  #showChats() {
    const chatIds = new Set([this.#chatId]);
    for (const { chatId } of this.#entries.values()) chatIds.add(chatId);
    for (const [chatId, draft] of this.#drafts) if (draft) chatIds.add(chatId);
    const chips = [...chatIds].sort().map((chatId) => this.#chipOf(chatId));
    chips.push(this.#newChatChip());
    const { chats } = this.#parts;
    // A new chat may be inserted before the chip that has the focus.
    const focused = [...chats.children].find((chip) => chip === document.activeElement);
    chats.replaceChildren(...chips);
    if (focused instanceof HTMLElement) {
      chips.find((chip) => chip.dataset.chat === focused.dataset.chat)?.focus();
    }
  }

  /** @param {string} chatId */
  #chipOf(chatId) {
    const name = createElement(
      "span", { className: "name" }, partnerIn(chatId, this.#me) ?? chatId);
    const chip = createElement("button", { type: "button", className: "chip" }, name);
    const count = this.#unread.get(chatId)?.size ?? 0;
    if (count) chip.append(createElement("span", { className: "count" }, `${count} new`));
    chip.dataset.chat = chatId;
    if (chatId === this.#chatId) chip.setAttribute("aria-current", "true");
    chip.addEventListener("click", () => {
      this.#showChat(chatId);
      this.focus();
    });
    return chip;
  }

  #newChatChip() {
    const chip = createElement(
      "button", { type: "button", className: "chip" }, createIcon("plus"), "New chat");
    chip.dataset.chat = "";
    chip.addEventListener("click", () => {
      this.#parts.newChat.hidden = false;
      this.#parts.newPartner.focus();
    });
    return chip;
  }

  #showState() {
    clearInterval(this.#countdown);
    const { state } = this.#client;
    const isOnline = state.name === "connected" || state.name === "catching-up";
    const showLabel = () => showText(this.#parts.stateLabel, formatState(state));
    showLabel();
    if (state.name === "waiting") this.#countdown = setInterval(showLabel, 250);
    this.#parts.state.dataset.state = state.name;
    this.#parts.toggle.textContent = state.name === "offline" ? "Go online" : "Go offline";
    this.#list.setOnline(isOnline);
    // The notice stays during the next attempt, which brings no news until it ends.
    if (state.name !== "connecting") {
      showText(this.#parts.notice, formatProblem(state, { hasToken: this.#hasToken }));
    }
    if (state.name === "connected") this.#announce("You are connected");
    if (state.name === "waiting" && state.problem === "lost") this.#announce("The connection is lost");
  }

  /** @param {string} text empty to hide it, unless there is a permanent one */
  #showAlert(text) {
    showText(this.#parts.alert, text || this.#permanentAlert);
  }

  /**
   * Have screen readers read a text, after those that were announced shortly before.
   * @param {string} text
   */
  #announce(text) {
    const line = createElement("p", {}, text);
    this.#parts.announcer.append(line);
    setTimeout(() => line.remove(), ANNOUNCEMENT_MS);
  }

  // --- controls ----------------------------------------------------------------------------------

  #listenToControls() {
    const { toggle, composer, text, attach, fileInput } = this.#parts;
    toggle.addEventListener("click", () => {
      if (this.#client.state.name === "offline") this.#client.connect();
      else this.#client.disconnect();
    });
    composer.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    text.addEventListener("keydown", (event) => {
      // In an input method, Enter completes a word.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    text.addEventListener("input", () => this.#showAlert(""));
    text.addEventListener("paste", (event) => {
      const files = event.clipboardData?.files ?? [];
      if (files.length === 0) return;
      event.preventDefault();
      this.#attach(files);
    });
    attach.addEventListener("click", () => fileInput.click());
    fileInput.addEventListener("change", () => {
      this.#attach(fileInput.files ?? []);
      fileInput.value = "";
    });
    this.element.addEventListener("dragover", (event) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    });
    this.element.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#attach(event.dataTransfer?.files ?? []);
    });
    this.#listenToNewChat();
  }

  #listenToNewChat() {
    const { newChat, newPartner, cancelNewChat } = this.#parts;
    newChat.addEventListener("submit", (event) => {
      event.preventDefault();
      try {
        this.#showChat(chatIdFrom(newPartner.value, this.#me));
      } catch (error) {
        this.#showAlert(formatThrown(error));
        return;
      }
      this.#hideNewChat();
    });
    cancelNewChat.addEventListener("click", () => this.#hideNewChat());
    newChat.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") this.#hideNewChat();
    });
  }

  #hideNewChat() {
    const { newChat } = this.#parts;
    newChat.reset();
    newChat.hidden = true;
    this.#showAlert("");
    this.focus();
  }

  #send() {
    const input = this.#parts.text;
    const text = input.value.trim();
    const length = [...text].length;
    if (length === 0) return;
    if (length > MAX_TEXT_LENGTH) {
      this.#showAlert(
        `Too long: ${length} characters. A message may have ${MAX_TEXT_LENGTH}.`);
      return;
    }
    this.#showAlert("");
    try {
      this.#client.send({ chatId: this.#chatId, text });
      input.value = "";
    } catch (error) {
      this.#showAlert(formatThrown(error));
    }
  }
}

/** @param {HTMLElement} element */
function partsOf(element) {
  return {
    partner: find(element, ".partner", HTMLElement),
    me: find(element, ".me", HTMLElement),
    avatar: find(element, ".avatar", HTMLElement),
    state: find(element, ".state", HTMLElement),
    stateLabel: find(element, ".state .label", HTMLElement),
    toggle: find(element, ".toggle", HTMLButtonElement),
    leave: find(element, ".leave", HTMLButtonElement),
    chats: find(element, ".chats", HTMLElement),
    newChat: find(element, ".new-chat", HTMLFormElement),
    newPartner: find(element, ".new-chat input", HTMLInputElement),
    cancelNewChat: find(element, ".new-chat .cancel", HTMLButtonElement),
    notice: find(element, ".notice", HTMLElement),
    list: find(element, ".message-list", HTMLElement),
    jump: find(element, ".jump", HTMLButtonElement),
    alert: find(element, ".alert", HTMLElement),
    composer: find(element, ".composer", HTMLFormElement),
    fileInput: find(element, ".file-input", HTMLInputElement),
    attach: find(element, ".attach", HTMLButtonElement),
    text: find(element, "textarea", HTMLTextAreaElement),
    announcer: find(element, ".announcer", HTMLElement),
  };
}
