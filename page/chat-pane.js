/** The pane of one user: the chats of that user, of which one is shown. */

import { ChatList } from "./chat-list.js";
import { partnerIn } from "./chats.js";
import { Composer } from "./composer.js";
import { ConnectionStatus } from "./connection-status.js";
import { cloneTemplate, createElement, find, showAvatar, showText } from "./dom.js";
import { Entries } from "./entries.js";
import { Files, contentTypeOf } from "./files.js";
import { MAX_UNREAD, MESSAGE_IS_ERASED, formatError, formatMissed, formatThrown } from "./format.js";
import { ChatHistory } from "./history.js";
import { MessageList } from "./message-list.js";
import { NewChatForm } from "./new-chat-form.js";
import { Previews } from "./previews.js";
import { ChatClient, ChatError, newId } from "./protocol.js";
import { SignalSwitches } from "./signal-switches.js";
import { ChatStorage } from "./storage.js";
import { TypingIndicator } from "./typing.js";
import { Uploads } from "./uploads.js";

/** @typedef {import("./message-view.js").Entry} Entry */
/** @typedef {import("./protocol.js").OutboxItem} OutboxItem */
/** @typedef {import("./protocol.js").ReceivedMessage} ReceivedMessage */

// How long the text of a live region stays, so that a screen reader can finish it.
const ANNOUNCEMENT_MS = 10_000;
// Messages that come within this time are marked as read together.
const READ_DELAY_MS = 400;

/** The chats of one user. */
export class ChatPane {
  #me;
  #status;
  #newChat;
  #client;
  #storage;
  #files;
  #list;
  #typing;
  #parts;
  #onUnread;
  #onConnected;
  #chats;
  #previews;
  #onChat;
  #entries = new Entries();
  #closed = new AbortController();
  /** @type {Map<string, ChatHistory>} by chat id, of the chats that were shown */
  #histories = new Map();
  /** @type {ReceivedMessage[]} messages of the last frame, which are not shown yet */
  #received = [];
  #uploads;
  #composer;
  /** @type {Set<string>} the keys of the messages of the current catch-up */
  #missed = new Set();
  /** The alert that is shown when there is no other. */
  #permanentAlert = "";
  #chatId;
  #shownUnread = 0;
  #readTimer = 0;

  /**
   * @param {object} options
   * @param {string} options.me
   * @param {string} options.chatId
   * @param {string} options.backend
   * @param {string} options.token empty if there is none
   * @param {() => void} options.onLeave
   * @param {() => void} options.onEnterToken is called when the user wants to enter a token
   * @param {() => void} options.onChat is called when the user opens another chat
   * @param {() => void} options.onUnread is called when `unread` changes
   * @param {() => void} options.onConnected is called with each new connection
   */
  constructor({ me, chatId, backend, token, onLeave, onEnterToken, onChat, ...more }) {
    const { onUnread, onConnected } = more;
    this.#me = me;
    this.#chatId = chatId;
    this.#onChat = onChat;
    this.#onUnread = onUnread;
    this.#onConnected = onConnected;
    this.element = cloneTemplate("chat-pane", HTMLElement);
    this.#parts = partsOf(this.element);
    this.#storage = new ChatStorage(backend, me, () => {
      this.#permanentAlert = "This browser has no more room: what is not sent yet is lost when the "
        + "page is loaded again.";
      this.#showAlert(this.#permanentAlert);
    });
    this.#storage.onReadElsewhere(() => this.#showChats(), this.#closed.signal);
    for (const known of this.#storage.chats().keys()) this.#entries.addChat(known);
    const switches = new SignalSwitches(this.#parts.signals, this.#storage, () => this.markRead());
    const outbox = this.#storage.outbox();
    for (const item of outbox) this.#entries.put(this.#entryOfItem(item));
    this.#client = new ChatClient({
      url: backend,
      userId: me,
      token,
      since: this.#storage.until,
      outbox,
      signals: switches.signals,
    });
    this.#previews = new Previews(this.#client, (messages) => {
      for (const entry of this.#entriesOf(messages)) this.#entries.put(entry);
      this.#showChats();
    });
    this.#chats = new ChatList(this.#parts.chats, {
      onOpen: (opened) => {
        this.#openChat(opened);
        this.focus();
      },
      onNew: () => this.#newChat.show(),
    });
    this.#typing = new TypingIndicator(this.#parts.typing);
    this.#files = new Files(this.#client);
    this.#uploads = new Uploads(this.#client, this.#files, {
      onProgress: (entry) => this.#put([entry]),
      onSent: (key) => this.#removeEntry(key),
    });
    this.#composer = new Composer(this.element, {
      onSend: (text, files) => this.#send(text, files),
      onInput: (text) => this.#onInput(text),
      onProblem: (problem) => this.#showAlert(problem),
    });
    this.#list = new MessageList(this.#parts.list, this.#parts.jump, {
      download: (stored) => this.#download(stored),
      previewUrl: (stored, options) => this.#files.previewUrl(stored, options),
      retry: (entry) => this.#retry(entry),
      remove: (entry) => this.#remove(entry),
      loadOlder: () => this.#history.loadOlder(),
      retryLoading: () => this.#history.retry(),
      onAtEnd: () => this.#sendReadSoon(),
    });
    this.#parts.leave.addEventListener("click", onLeave);
    this.#parts.enterToken.addEventListener("click", onEnterToken);
    this.#status = new ConnectionStatus(this.#parts, this.#client, { hasToken: Boolean(token) });
    this.#newChat = new NewChatForm(this.#parts.newChat, {
      me,
      onOpen: (opened) => this.#openChat(opened),
      onClose: () => {
        this.#showAlert("");
        this.focus();
      },
    });
    this.#listenToClient();
    this.#listenToControls();
    this.#showChat(chatId);
    this.#client.connect();
  }

  /** The partner in the chat that is shown; empty if the user is not in it. */
  get partner() {
    return partnerIn(this.#chatId, this.#me) ?? "";
  }

  /** The chat that is shown. */
  get chatId() {
    return this.#chatId;
  }

  /** How many messages are unread, of which `MAX_UNREAD` of each chat count. */
  get unread() {
    return this.#entries.chatIds.reduce(
      (sum, chatId) => sum + Math.min(MAX_UNREAD, this.#unreadIn(chatId)), 0);
  }

  /** Whether leaving the pane would lose files that are not uploaded. */
  get hasUnsentFiles() {
    return this.#uploads.isActive || this.#composer.hasFiles;
  }

  /** Focus the input for a message. */
  focus() {
    this.#composer.focus();
  }

  /** Mark the messages of the chat that is shown as read, if the pane is visible. */
  markRead() {
    if (!this.#isVisible) return;
    this.#sendReadSoon();
    const hadUnread = this.#unreadIn(this.#chatId) > 0;
    const newest = this.#entries.newest(this.#chatId);
    if (newest) this.#storage.storeRead(this.#chatId, newest);
    if (hadUnread) this.#showChats();
  }

  /** Disconnect, and cancel the uploads. */
  close() {
    this.#closed.abort();
    this.#status.close();
    clearTimeout(this.#readTimer);
    this.#typing.close();
    this.#uploads.close();
    this.#client.disconnect();
    this.#files.close();
  }

  // --- events of the client ----------------------------------------------------------------------

  #listenToClient() {
    this.#client.addEventListener("state", () => {
      this.#announceState();
      this.#followConnection();
      if (this.#client.state.name === "connected") this.#sendReadSoon();
    });
    this.#client.addEventListener("error", ({ detail }) => this.#showAlert(formatError(detail)));
    this.#client.addEventListener("outbox", ({ detail }) => {
      this.#storage.storeItem(detail);
      this.#put([this.#entryOfItem(detail)]);
    });
    this.#client.addEventListener("ack", ({ detail }) => this.#onAck(detail));
    this.#client.addEventListener("message", ({ detail }) => {
      // A frame may have hundreds of messages, which are shown together.
      if (this.#received.push(detail) === 1) queueMicrotask(() => this.#showReceived());
    });
    this.#client.addEventListener("synced", ({ detail }) => {
      this.#storage.until = detail.until;
      if (detail.complete !== false) this.#showMissed();
    });
    this.#client.addEventListener("receipt", ({ detail }) => this.#onReceipt(detail));
    this.#client.addEventListener("typing", ({ detail }) => {
      if (detail.userId !== this.#me) this.#typing.onTyping(detail);
    });
  }

  #showReceived() {
    const entries = this.#entriesOf(this.#received);
    this.#received = [];
    this.#put(entries);
    // Several come together only where they were missed.
    const isCatchUp = this.#client.state.name === "catching-up" || entries.length > 1;
    const readUntil = this.#storage.chats();
    for (const { key, chatId, senderId, isMine, timestamp, text, file } of entries) {
      if (isMine) continue;
      this.#typing.onMessage(chatId);
      if (!isCatchUp) this.#announce(`${senderId}: ${text ?? file?.name ?? ""}`);
      // The overlap of a catch-up contains messages that were read before a reload.
      else if (timestamp > (readUntil.get(chatId) ?? 0)) this.#missed.add(key);
    }
    for (const chatId of new Set(entries.map((entry) => entry.chatId))) {
      this.#storage.storeRead(chatId, 0);
    }
    this.markRead();
    this.#showChats();
  }

  /** @param {import("./protocol.js").Acknowledged} acknowledged */
  #onAck({ item, ack: { messageId, timestamp, delivered } }) {
    const { chatId, text, fileKey, file, clientMessageId } = item;
    this.#storage.removeItem(clientMessageId);
    this.#removeEntry(clientMessageId);
    this.#put([{
      key: messageId, chatId, senderId: this.#me, isMine: true, timestamp, text, fileKey, file,
      status: delivered ? "delivered" : "sent",
    }]);
    if (delivered) this.#storage.storeDelivered(chatId, timestamp);
    this.#storage.storeRead(chatId, 0);
  }

  #showMissed() {
    if (this.#missed.size === 0) return;
    const here = [...this.#missed].map((key) => this.#entries.get(key))
      .filter((entry) => entry?.chatId === this.#chatId)
      .sort((one, other) => (one?.timestamp ?? 0) - (other?.timestamp ?? 0));
    this.#list.showMissed(here[0]?.key ?? "", here.length);
    this.#announce(formatMissed(this.#missed.size));
    this.#missed.clear();
  }

  // --- receipts ----------------------------------------------------------------------------------

  /** Whether the user can see the pane. */
  get #isVisible() {
    return !document.hidden && this.element.checkVisibility();
  }

  /** Send that the chat is read, once for messages that come together. */
  #sendReadSoon() {
    this.#readTimer ||= setTimeout(() => {
      this.#readTimer = 0;
      this.#sendRead();
    }, READ_DELAY_MS);
  }

  /** Send it if the user sees the newest message, and none before it is missing. */
  #sendRead() {
    const isSeen = this.#isVisible && document.hasFocus() && this.#list.isAtEnd;
    const isWhole = this.#client.state.name === "connected" && this.#history.isCurrent;
    const newest = this.#entries.newestOfPartner(this.#chatId);
    if (isSeen && isWhole && newest) this.#client.markRead(this.#chatId, newest);
  }

  /** @param {import("./protocol.js").Receipt} receipt */
  #onReceipt({ chatId, userId, received = 0, read = 0 }) {
    if (userId === this.#me) {
      if (read > 0) this.#storage.storeRead(chatId, read);
      this.#showChats();
      return;
    }
    this.#storage.forgetDelivered(chatId, received);
    if (chatId === this.#chatId) this.#list.setReceipts(this.#partnersReceipts);
  }

  /** @param {string} chatId */
  #unreadIn(chatId) {
    const { read = 0 } = this.#client.receiptsOf(chatId, this.#me);
    return this.#entries.countUnread(chatId, Math.max(read, this.#storage.readUntil(chatId)));
  }

  get #partnersReceipts() {
    return this.#client.receiptsOf(this.#chatId, this.partner);
  }

  // --- the history -------------------------------------------------------------------------------

  /** The history of the chat that is shown. */
  get #history() {
    const chatId = this.#chatId;
    let history = this.#histories.get(chatId);
    if (!history) {
      history = new ChatHistory(this.#client, chatId, {
        onMessages: (messages, isFirst) => this.#onHistory(chatId, messages, isFirst),
        onState: () => this.#showHistory(chatId),
      });
      this.#histories.set(chatId, history);
    }
    return history;
  }

  #followConnection() {
    const { name } = this.#client.state;
    // A catch-up brings what the partner wrote. What the user wrote elsewhere can wait for its end.
    if (name === "connected" || (name === "catching-up" && this.#history.from === Infinity)) {
      this.#history.loadNewest();
    } else if (name !== "catching-up") {
      for (const [chatId, history] of this.#histories) {
        history.disconnected(this.#entries.newest(chatId));
      }
    }
  }

  /**
   * @param {string} chatId
   * @param {ReceivedMessage[]} messages
   * @param {boolean} isFirst
   */
  #onHistory(chatId, messages, isFirst) {
    const entries = this.#entriesOf(messages);
    if (isFirst) {
      for (const entry of entries) this.#entries.put(entry);
      if (chatId === this.#chatId) this.#showEntries();
    } else {
      this.#put(entries);
    }
    if (messages.length > 0) this.#storage.storeRead(chatId, 0);
    if (chatId === this.#chatId) this.markRead();
    this.#showChats();
  }

  /** @param {string} chatId */
  #showHistory(chatId) {
    if (chatId !== this.#chatId) return;
    const history = this.#history;
    // What else is known of the chat is better than nothing.
    if (history.state === "failed" && history.from === Infinity) this.#showEntries();
    this.#list.showHistory(history);
    if (history.isCurrent) this.#sendReadSoon();
  }

  // --- entries -----------------------------------------------------------------------------------

  /**
   * Return the entries of messages, and store the links to their files.
   * @param {ReceivedMessage[]} messages
   * @returns {Entry[]}
   */
  #entriesOf(messages) {
    const delivered = new Map([...new Set(messages.map(({ chatId }) => chatId))].map(
      (chatId) => [chatId, this.#storage.delivered(chatId)]));
    return messages.map(({ messageId, chatId, senderId, timestamp, fileKey, ...rest }) => {
      const { fileName = "a file", contentType, size, fileUrl, erased: isErased } = rest;
      const text = isErased ? MESSAGE_IS_ERASED : rest.text;
      if (fileKey && fileUrl) this.#files.storeLink(fileKey, fileUrl);
      const isMine = senderId === this.#me;
      const wasDelivered = isMine && delivered.get(chatId)?.has(timestamp);
      return {
        key: messageId, chatId, senderId, isMine, timestamp, text, isErased, fileKey,
        file: fileKey ? { name: fileName, type: contentType, size } : undefined,
        status: wasDelivered ? "delivered" : this.#entries.get(messageId)?.status,
      };
    });
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

  /** @param {Entry[]} entries */
  #put(entries) {
    for (const entry of entries) this.#entries.put(entry);
    this.#showChats();
    this.#list.put(entries.filter((entry) => this.#isShown(entry)));
  }

  /**
   * Return whether an entry is in the loaded part of the chat that is shown. A catch-up contains
   * what the partner wrote before that part, and not what the user wrote.
   * @param {Entry} entry
   */
  #isShown({ chatId, status, timestamp }) {
    if (chatId !== this.#chatId) return false;
    const { from, state } = this.#history;
    return status !== undefined || timestamp >= from || (state === "failed" && from === Infinity);
  }

  #showEntries() {
    const shown = this.#entries.all().filter((entry) => this.#isShown(entry));
    this.#list.setEntries(shown, this.#partnersReceipts);
  }

  /** @param {string} key */
  #removeEntry(key) {
    this.#entries.delete(key);
    this.#list.remove(key);
  }

  /** @param {Entry} entry */
  #retry(entry) {
    if (!this.#uploads.retry(entry)) this.#client.retry(entry.key);
  }

  /** @param {Entry} entry */
  #remove(entry) {
    const wasUpload = this.#uploads.cancel(entry.key);
    this.#storage.removeItem(entry.key);
    this.#removeEntry(entry.key);
    this.#showChats();
    if (!wasUpload) this.#client.discard(entry.key);
  }

  // --- files -------------------------------------------------------------------------------------

  /**
   * Upload files, and send a message for each; the first has the text.
   * @param {File[]} files
   * @param {string} text
   */
  #sendFiles(files, text) {
    files.forEach((file, index) => {
      this.#uploads.start({
        key: newId(), chatId: this.#chatId, senderId: this.#me, isMine: true,
        timestamp: Date.now(),
        text: (index === 0 && text) || undefined,
        file: { name: file.name, type: contentTypeOf(file), size: file.size },
      }, file);
    });
  }

  /** @param {import("./files.js").StoredFile} stored */
  async #download(stored) {
    if (this.#client.state.name === "offline") {
      throw new ChatError("download_failed", "You are offline.");
    }
    await this.#files.download(stored);
  }

  // --- what is shown -----------------------------------------------------------------------------

  /**
   * Show a chat that the user went back to.
   * @param {string} chatId
   */
  returnTo(chatId) {
    if (chatId !== this.#chatId) this.#showChat(chatId);
  }

  /** @param {string} chatId the user opens it */
  #openChat(chatId) {
    if (chatId === this.#chatId) return;
    this.#showChat(chatId);
    this.#onChat();
  }

  /** @param {string} chatId */
  #showChat(chatId) {
    this.#chatId = chatId;
    const title = partnerIn(chatId, this.#me) ?? chatId;
    this.#composer.showChat(chatId, { draft: this.#storage.draft(chatId), partner: title });
    for (const [part, name] of /** @type {const} */ ([["partner", title], ["me", this.#me]])) {
      this.#parts[part].textContent = name;
      this.#parts[part].title = name;
    }
    this.#parts.chats.ariaLabel = `Chats of ${this.#me}`;
    showAvatar(this.#parts.avatar, title);
    this.element.setAttribute("aria-label", `${this.#me}, talking to ${title}`);
    this.#parts.list.setAttribute("aria-label", `Messages with ${title}`);
    this.#showAlert("");
    this.#list.showMissed("", 0);
    this.#showEntries();
    this.#typing.showChat(chatId);
    this.#list.showHistory(this.#history);
    this.#history.loadNewest();
    this.#showChats();
    this.markRead();
  }

  #showChats() {
    const chatIds = new Set(
      [this.#chatId, ...this.#entries.chatIds, ...this.#storage.draftedChats()]);
    this.#chats.show([...chatIds].map((chatId) => this.#summaryOf(chatId)), this.#chatId);
    if (this.unread === this.#shownUnread) return;
    this.#shownUnread = this.unread;
    this.#onUnread();
  }

  /** @param {string} chatId */
  #summaryOf(chatId) {
    const latest = this.#entries.latest(chatId);
    const text = latest?.text ?? latest?.file?.name ?? "";
    return {
      chatId,
      name: partnerIn(chatId, this.#me) ?? chatId,
      text: latest?.isMine ? `You: ${text}` : text,
      timestamp: latest?.timestamp ?? this.#storage.readUntil(chatId),
      unread: this.#unreadIn(chatId),
    };
  }

  #announceState() {
    const { state } = this.#client;
    this.#list.setOnline(state.name === "connected" || state.name === "catching-up");
    if (state.name === "connected") {
      this.#previews.load(this.#entries.chatIds.filter((chatId) => !this.#histories.has(chatId)));
      this.#announce("You are connected");
      this.#onConnected();
    }
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
    const { privacy, signals } = this.#parts;
    privacy.addEventListener("click", () => {
      signals.hidden = !signals.hidden;
      privacy.ariaExpanded = String(!signals.hidden);
    });
  }

  /** @param {string} text */
  #onInput(text) {
    this.#storage.storeDraft(this.#chatId, text);
    // The backend pushes no signal in a chat without a message.
    if (text.trim() && this.#entries.newest(this.#chatId)) this.#client.markTyping(this.#chatId);
  }

  /**
   * Send a text, or files with it; return whether that was possible.
   * @param {string} text
   * @param {File[]} files
   */
  #send(text, files) {
    try {
      if (files.length > 0) this.#sendFiles(files, text);
      else this.#client.send({ chatId: this.#chatId, text });
      return true;
    } catch (error) {
      this.#showAlert(formatThrown(error));
      return false;
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
    privacy: find(element, ".privacy", HTMLButtonElement),
    chats: find(element, ".chats", HTMLElement),
    newChat: find(element, ".new-chat", HTMLFormElement),
    notice: find(element, ".notice", HTMLElement),
    enterToken: find(element, ".enter-token", HTMLButtonElement),
    list: find(element, ".message-list", HTMLElement),
    jump: find(element, ".jump", HTMLButtonElement),
    signals: find(element, ".signals", HTMLFieldSetElement),
    typing: find(element, ".typing", HTMLElement),
    alert: find(element, ".alert", HTMLElement),
    announcer: find(element, ".announcer", HTMLElement),
  };
}
