/** The pane of one user: the chats of that user, of which one is shown. */

import { Announcer } from "./announcer.js";
import { ChatList } from "./chat-list.js";
import { partnerIn } from "./chats.js";
import { Composer } from "./composer.js";
import { ConnectionStatus } from "./connection-status.js";
import { cloneTemplate, find, showText } from "./dom.js";
import { Entries } from "./entries.js";
import { entryOfItem } from "./entry.js";
import { Files } from "./files.js";
import { formatError, formatThrown } from "./format.js";
import { Incoming } from "./incoming.js";
import { NewChatForm } from "./new-chat-form.js";
import { Outgoing } from "./outgoing.js";
import { PaneHeader } from "./pane-header.js";
import { Previews } from "./previews.js";
import { ChatClient } from "./protocol.js";
import { ReadMarker } from "./read-marker.js";
import { SignalSwitches } from "./signal-switches.js";
import { ShownChat } from "./shown-chat.js";
import { ChatStorage } from "./storage.js";
import { TypingIndicator } from "./typing.js";

/** @typedef {import("./entry.js").Entry} Entry */

/**
 * @typedef {object} PaneOptions
 * @property {string} me
 * @property {string} chatId
 * @property {string} backend
 * @property {string} token empty if there is none
 * @property {() => void} onLeave
 * @property {() => void} onEnterToken is called when the user wants to enter a token
 * @property {() => void} onChat is called when the user opens another chat
 * @property {() => void} onUnread is called when `unread` changes
 * @property {() => void} onConnected is called with each new connection
 */

/** The chats of one user. */
export class ChatPane {
  #options;
  #me;
  #parts;
  #storage;
  #client;
  #header;
  #status;
  #announcer;
  #chats;
  #newChat;
  #previews;
  #typing;
  #files;
  #outgoing;
  #composer;
  #incoming;
  #chat;
  #read;
  #entries = new Entries();
  #closed = new AbortController();
  /** The alert that is shown when there is no other. */
  #permanentAlert = "";
  #shownUnread = 0;

  /** @param {PaneOptions} options */
  constructor(options) {
    const { me, chatId, backend, token, onLeave, onEnterToken } = options;
    this.#options = options;
    this.#me = me;
    this.element = cloneTemplate("chat-pane", HTMLElement);
    this.#parts = partsOf(this.element);
    this.#storage = new ChatStorage(backend, me, () => this.#onStorageFull());
    const switches = new SignalSwitches(this.#parts.signals, this.#storage, () => this.markRead());
    const outbox = this.#storage.outbox();
    this.#client = new ChatClient({
      url: backend,
      userId: me,
      token,
      since: this.#storage.until,
      outbox,
      signals: switches.signals,
    });
    for (const known of this.#storage.chats().keys()) this.#entries.addChat(known);
    for (const item of outbox) this.#entries.put(entryOfItem(item, me));
    this.#chat = this.#createChat();
    this.#read = new ReadMarker({
      client: this.#client,
      storage: this.#storage,
      entries: this.#entries,
      me,
      shown: () => this.#seen,
      onChange: () => this.#showChats(),
    });
    this.#announcer = new Announcer(this.#parts.announcer);
    this.#typing = new TypingIndicator(this.#parts.typing);
    this.#files = new Files(this.#client);
    this.#incoming = this.#createIncoming();
    this.#outgoing = new Outgoing(
      { me, client: this.#client, storage: this.#storage, files: this.#files },
      { onEntry: (entry) => this.#put(entry), onRemoved: (key) => this.#remove(key) });
    this.#previews = new Previews(this.#client, (messages) => {
      this.#incoming.store(messages);
      this.#showChats();
    });
    this.#header = new PaneHeader(this.element, { me, onLeave });
    this.#status = new ConnectionStatus(this.#parts, this.#client, { hasToken: Boolean(token) });
    this.#parts.enterToken.addEventListener("click", onEnterToken);
    this.#parts.chats.ariaLabel = `Chats of ${me}`;
    this.#chats = new ChatList(this.#parts.chats, {
      onOpen: (opened) => {
        this.#openChat(opened);
        this.focus();
      },
      onNew: () => this.#newChat.show(),
    });
    this.#newChat = new NewChatForm(this.#parts.newChat, {
      me,
      onOpen: (opened) => this.#openChat(opened),
      onClose: () => {
        this.#showAlert("");
        this.focus();
      },
    });
    this.#composer = new Composer(this.element, {
      onSend: (text, files) => this.#send(text, files),
      onInput: (text) => this.#onInput(text),
      onProblem: (problem) => this.#showAlert(problem),
    });
    this.#storage.onReadElsewhere(() => this.#showChats(), this.#closed.signal);
    this.#listenToClient();
    this.#showChat(chatId);
    this.#client.connect();
  }

  /** The partner in the chat that is shown; empty if the user is not in it. */
  get partner() {
    return this.#chat.partner;
  }

  /** The chat that is shown. */
  get chatId() {
    return this.#chat.chatId;
  }

  /** How many messages are unread; not all of a chat with very many are counted. */
  get unread() {
    return this.#read.unread;
  }

  /** Whether leaving the pane would lose files that are not uploaded. */
  get hasUnsentFiles() {
    return this.#outgoing.hasUploads || this.#composer.hasFiles;
  }

  /** Focus the input for a message. */
  focus() {
    this.#composer.focus();
  }

  /** Mark the messages of the chat that is shown as read, if the pane is visible. */
  markRead() {
    this.#read.mark();
  }

  /**
   * Show a chat that the user went back to.
   * @param {string} chatId
   */
  returnTo(chatId) {
    if (chatId !== this.chatId) this.#showChat(chatId);
  }

  /** Disconnect, and cancel the uploads. */
  close() {
    this.#closed.abort();
    this.#status.close();
    this.#read.close();
    this.#typing.close();
    this.#outgoing.close();
    this.#client.disconnect();
    this.#files.close();
  }

  #createChat() {
    const parts = { me: this.#me, client: this.#client, entries: this.#entries, ...this.#parts };
    return new ShownChat(parts, {
      download: (stored) => this.#files.download(stored),
      previewUrl: (stored, options) => this.#files.previewUrl(stored, options),
      retry: (entry) => this.#outgoing.retry(entry),
      remove: (entry) => this.#outgoing.remove(entry),
      onPage: (chatId, messages, isFirst) => {
        this.#chat.showPage(chatId, this.#incoming.store(messages), isFirst);
        this.#onStored(messages);
      },
      onSeen: () => this.#read.sendSoon(),
    });
  }

  #createIncoming() {
    return new Incoming({
      me: this.#me,
      client: this.#client,
      storage: this.#storage,
      files: this.#files,
      entries: this.#entries,
      typing: this.#typing,
      announcer: this.#announcer,
    }, {
      onEntries: (entries) => {
        this.#chat.put(entries);
        this.#onStored(entries);
      },
      onMissed: (entries) => this.#chat.showMissed(entries),
    });
  }

  // --- events of the client ----------------------------------------------------------------------

  #listenToClient() {
    this.#client.addEventListener("state", () => this.#onState());
    this.#client.addEventListener("error", ({ detail }) => this.#showAlert(formatError(detail)));
    this.#client.addEventListener("receipt", ({ detail }) => this.#onReceipt(detail));
    this.#client.addEventListener("typing", ({ detail }) => {
      if (detail.userId !== this.#me) this.#typing.onTyping(detail);
    });
  }

  #onState() {
    const { name, problem } = this.#client.state;
    this.#chat.followConnection();
    if (name === "waiting" && problem === "lost") this.#announcer.announce("The connection is lost");
    if (name !== "connected") return;
    this.#previews.load(this.#entries.chatIds.filter((chatId) => !this.#chat.wasShown(chatId)));
    this.#announcer.announce("You are connected");
    this.#options.onConnected();
    this.#read.sendSoon();
  }

  /** @param {import("./protocol.js").Receipt} receipt */
  #onReceipt({ chatId, userId, received = 0, read = 0 }) {
    if (userId === this.#me) {
      if (read > 0) this.#storage.storeRead(chatId, read);
      this.#showChats();
      return;
    }
    this.#storage.forgetDelivered(chatId, received);
    if (chatId === this.chatId) this.#chat.showReceipts();
  }

  /** @param {{chatId: string}[]} messages that are stored in `entries` */
  #onStored(messages) {
    for (const chatId of new Set(messages.map((message) => message.chatId))) {
      this.#storage.storeRead(chatId, 0);
    }
    this.markRead();
    this.#showChats();
  }

  /** @param {Entry} entry */
  #put(entry) {
    this.#entries.put(entry);
    this.#chat.put([entry]);
    this.#showChats();
  }

  /** @param {string} key */
  #remove(key) {
    this.#entries.delete(key);
    this.#chat.remove(key);
    this.#showChats();
  }

  // --- what is shown -----------------------------------------------------------------------------

  /** @param {string} chatId the user opens it */
  #openChat(chatId) {
    if (chatId === this.chatId) return;
    this.#showChat(chatId);
    this.#options.onChat();
  }

  /** @param {string} chatId */
  #showChat(chatId) {
    this.#showAlert("");
    this.#chat.show(chatId);
    const { name } = this.#chat;
    this.#header.show(name);
    this.#composer.showChat(chatId, { draft: this.#storage.draft(chatId), partner: name });
    this.#typing.showChat(chatId);
    this.#showChats();
    this.markRead();
  }

  /** What the user sees of the chat that is shown. */
  get #seen() {
    const { chatId, isAtEnd, isWhole } = this.#chat;
    const isVisible = !document.hidden && this.element.checkVisibility();
    return { chatId, isVisible, isAtEnd, isWhole };
  }

  #showChats() {
    const chatIds = new Set(
      [this.chatId, ...this.#entries.chatIds, ...this.#storage.draftedChats()]);
    this.#chats.show([...chatIds].map((chatId) => this.#summaryOf(chatId)), this.chatId);
    if (this.unread === this.#shownUnread) return;
    this.#shownUnread = this.unread;
    this.#options.onUnread();
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
      unread: this.#read.unreadIn(chatId),
    };
  }

  #onStorageFull() {
    this.#permanentAlert = "This browser has no more room: what is not sent yet is lost when the "
      + "page is loaded again.";
    this.#showAlert(this.#permanentAlert);
  }

  /** @param {string} text empty to hide it, unless there is a permanent one */
  #showAlert(text) {
    showText(this.#parts.alert, text || this.#permanentAlert);
  }

  // --- what the user does ------------------------------------------------------------------------

  /** @param {string} text */
  #onInput(text) {
    this.#storage.storeDraft(this.chatId, text);
    // The backend pushes no signal in a chat without a message.
    if (text.trim() && this.#entries.newest(this.chatId)) this.#client.markTyping(this.chatId);
  }

  /**
   * Send a text, or files with it; return whether that was possible.
   * @param {string} text
   * @param {File[]} files
   */
  #send(text, files) {
    try {
      this.#outgoing.send(this.chatId, text, files);
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
    state: find(element, ".state", HTMLElement),
    stateLabel: find(element, ".state .label", HTMLElement),
    toggle: find(element, ".toggle", HTMLButtonElement),
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
