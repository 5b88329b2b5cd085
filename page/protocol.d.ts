/*! Copyright (c) 2026 The Serverless Chat Backend authors. SPDX-License-Identifier: MIT */
/**
 * A client of the chat that loses no message: one module without dependencies, to copy and use. It
 * runs in browsers, in workers, and in Node with its own WebSocket or that of the package `ws`.
 *
 *     import { ChatClient, chatIdOf } from "./protocol.js";
 *
 *     const client = new ChatClient({ url: "wss://….amazonaws.com/prod", userId: "user123" });
 *     client.addEventListener("message", ({ detail }) => console.log(detail.text));
 *     client.connect();
 *     const { ack } = client.send({ chatId: chatIdOf("user123", "user456"), text: "Hello!" });
 *     console.log((await ack).messageId);
 *
 * It follows the rules of docs/protocol.md for a client that never loses a message: it gives each
 * message a `clientMessageId` and resends it until it is acknowledged; it connects with the `until`
 * of the last `synced` as `since`; it asks now and then, on the open connection, what it missed; it
 * deduplicates messages by their `messageId`. Its owner stores what has to survive a reload, as
 * `storage.js` does: it takes it from these events, and passes it back as options. It also sends
 * the signals `received`, `read` and `typing`, unless an option turns them off.
 *
 * | event     | detail                                                                       |
 * | --------- | ---------------------------------------------------------------------------- |
 * | `state`   | {@link State}: what the connection is doing                                  |
 * | `message` | {@link ReceivedMessage}: from the partner, or your own from another device.  |
 * |           | Each `messageId` once. What you sent while this device was offline is in     |
 * |           | the history only                                                             |
 * | `outbox`  | {@link OutboxItem}: it is new, refused, or will be resent. Store it *now*,   |
 * |           | before it is sent                                                            |
 * | `ack`     | {@link Acknowledged}: the message is stored, and no longer in the outbox     |
 * | `synced`  | {@link Synced}: a catch-up is over. Store `until`                            |
 * | `receipt` | {@link Receipt}: a receipt of a user has moved forward                       |
 * | `typing`  | {@link Typing}: a user is typing now; let it expire after ten seconds        |
 * | `error`   | {@link ChatError} that belongs to no message                                 |
 */
export type SendMessageFrame = {
    action: "sendmessage";
    chatId: string;
    text?: string;
    fileKey?: string;
    clientMessageId: string;
};
export type SignalFrame = {
    action: "sendmessage";
    chatId: string;
    received?: number;
    read?: number;
    typing?: true;
    clientMessageId: string;
};
export type UploadRequest = {
    action: "sendfile";
    chatId: string;
    fileName: string;
    contentType: string;
    size: number;
};
export type DownloadRequest = {
    action: "sendfile";
    chatId: string;
    fileKey: string;
};
export type CatchUpRequest = {
    action: "getmessages";
    since: number;
};
export type HistoryRequest = {
    action: "getmessages";
    chatId: string;
    before?: number;
    limit?: number;
};
export type ReceivedMessage = {
    messageId: string;
    chatId: string;
    senderId: string;
    recipientId: string;
    /**
     * milliseconds since 1970
     */
    timestamp: number;
    text?: string;
    /**
     * of the file, if there is one, like the fields below
     */
    fileKey?: string;
    /**
     * a download link, which expires
     */
    fileUrl?: string;
    fileName?: string;
    contentType?: string;
    /**
     * in bytes
     */
    size?: number;
    /**
     * the operator erased its text and its file
     */
    erased?: true;
    /**
     * yours, if you sent it from another device a moment ago
     */
    clientMessageId?: string;
};
export type MessageFrame = ReceivedMessage & {
    type: "message";
};
export type MessagesFrame = {
    type: "messages";
    messages: ReceivedMessage[];
};
export type Receipts = {
    received?: number;
    read?: number;
};
export type ReceiptFrame = {
    type: "receipt";
    chatId: string;
    userId: string;
} & Receipts;
export type TypingFrame = {
    type: "typing";
    chatId: string;
    userId: string;
};
export type HistoryFrame = {
    type: "history";
    chatId: string;
    messages: ReceivedMessage[];
    more: boolean;
    before?: number;
    receipts: Record<string, Receipts>;
};
export type AckFrame = {
    type: "ack";
    action: "sendmessage";
    messageId: string;
    chatId: string;
    timestamp: number;
    delivered: number;
    clientMessageId: string;
    duplicate?: true;
};
export type SignalAckFrame = {
    type: "ack";
    action: "sendmessage";
    chatId: string;
    received?: number;
    read?: number;
    typing?: true;
};
export type UploadFrame = {
    type: "upload";
    action: "sendfile";
    chatId: string;
    fileKey: string;
    uploadUrl: string;
    method: "PUT";
    headers: Record<string, string>;
    expiresIn: number;
};
export type DownloadFrame = {
    type: "download";
    action: "sendfile";
    chatId: string;
    fileKey: string;
    fileUrl: string;
    fileName: string;
    contentType: string;
    size: number;
    expiresIn: number;
};
export type FileFrame = UploadFrame | DownloadFrame;
export type SyncedFrame = {
    type: "synced";
    since: number;
    until: number;
    count: number;
    complete: boolean;
};
export type AnswerFrame = UploadFrame | DownloadFrame | HistoryFrame | SyncedFrame;
export type ErrorFrame = {
    type: "error";
    action: "sendmessage" | "sendfile" | "getmessages";
    code: string;
    message: string;
    requestId: string;
    clientMessageId?: string;
    retryAfterMs?: number;
};
export type GatewayErrorFrame = {
    type?: undefined;
    message: string;
    connectionId: string;
    requestId: string;
};
export type ServerFrame = MessageFrame | MessagesFrame | AckFrame | SignalAckFrame | ReceiptFrame | TypingFrame | AnswerFrame | ErrorFrame | GatewayErrorFrame;
export type Unchecked<F extends ServerFrame = ServerFrame> = F extends unknown ? {
    type: F["type"];
} & {
    [Name in Exclude<keyof F, "type">]?: unknown;
} : never;
export type StateName = "offline" | "connecting" | "catching-up" | "connected" | "waiting";
export type State = {
    name: StateName;
    /**
     * when it connects again, if it waits; milliseconds since 1970
     */
    retryAt?: number;
    /**
     * why it waits: it was open, or it never opened.
     * Browsers do not distinguish a refused handshake from a backend that does not respond.
     */
    problem?: "lost" | "unreachable";
    /**
     * why it does not try again; or, if it waits, why there was no token
     */
    error?: ChatError;
};
export type FileInfo = {
    name: string;
    type?: string;
    size?: number;
};
export type OutboxItem = {
    clientMessageId: string;
    chatId: string;
    text?: string;
    fileKey?: string;
    /**
     * what to show of its file; it is not sent
     */
    file?: FileInfo;
    /**
     * milliseconds since 1970
     */
    createdAt: number;
    status: "queued" | "refused";
    /**
     * the last one. While the
     * item is `queued`, it is resent.
     */
    error?: {
        code: string;
        message: string;
        requestId?: string;
    };
};
export type Ack = {
    messageId: string;
    timestamp: number;
    delivered?: number;
    duplicate?: true;
};
export type SentItem = OutboxItem & {
    readonly ack: Promise<Ack>;
};
export type Acknowledged = {
    item: OutboxItem;
    ack: Ack;
};
export type Synced = SyncedFrame & {
    newMessages: number;
};
export type Receipt = {
    chatId: string;
    userId: string;
} & Receipts;
export type Typing = {
    chatId: string;
    userId: string;
};
export type SignalName = "received" | "read" | "typing";
export type ChatEvents = {
    state: State;
    message: ReceivedMessage;
    outbox: OutboxItem;
    ack: Acknowledged;
    synced: Synced;
    receipt: Receipt;
    typing: Typing;
    error: ChatError;
};
export type Socket = {
    addEventListener: (type: any, listener: (event: any) => void) => void;
    send: (data: string) => void;
    close: () => void;
};
export type ChatClientOptions = {
    /**
     * of the stage: `wss://…/prod`
     */
    url: string;
    /**
     * may be left out if there is a token. The backend refuses one that is
     * not the token's, so that no outbox is sent as another user's.
     */
    userId?: string;
    /**
     * for a backend with authentication.
     * A function is called before each connection. If it throws a {@link ChatError}, the client goes
     * offline. After another error, and if it returns a token that has expired or is malformed, it
     * is called again with backoff.
     */
    token?: string | (() => string | Promise<string>);
    /**
     * the last `until` that you stored; 0 the first time
     */
    since?: number;
    /**
     * the ids of the messages that you have, oldest first. The
     * last 10,000 count
     */
    seen?: Iterable<string>;
    /**
     * the items that you stored
     */
    outbox?: Iterable<OutboxItem>;
    /**
     * which are sent; all by default. It is
     * read before each signal, so it may change
     */
    signals?: Partial<Record<SignalName, boolean>>;
    /**
     * the global one, by
     * default. Node has one from version 22; before that, pass the one of the package `ws`
     */
    WebSocket?: new (url: string, protocols: string[]) => Socket;
};
export type ChatListener<T extends keyof ChatEvents> = (event: CustomEvent<ChatEvents[T]>) => void;
export type ChatEventTarget = {
    addEventListener: <T extends keyof ChatEvents>(type: T, listener: ChatListener<T>, options?: {
        once?: boolean;
        signal?: AbortSignal;
    }) => void;
    removeEventListener: <T extends keyof ChatEvents>(type: T, listener: ChatListener<T>) => void;
    dispatchEvent: (event: Event) => boolean;
};
/** @typedef {{action: "sendmessage", chatId: string, text?: string, fileKey?: string,
 *   clientMessageId: string}} SendMessageFrame */
/** @typedef {{action: "sendmessage", chatId: string, received?: number, read?: number,
 *   typing?: true, clientMessageId: string}} SignalFrame with one of the three */
/** @typedef {{action: "sendfile", chatId: string, fileName: string, contentType: string,
 *   size: number}} UploadRequest */
/** @typedef {{action: "sendfile", chatId: string, fileKey: string}} DownloadRequest */
/** @typedef {{action: "getmessages", since: number}} CatchUpRequest */
/** @typedef {{action: "getmessages", chatId: string, before?: number,
 *   limit?: number}} HistoryRequest */
/**
 * @typedef {object} ReceivedMessage
 * @property {string} messageId
 * @property {string} chatId
 * @property {string} senderId
 * @property {string} recipientId
 * @property {number} timestamp milliseconds since 1970
 * @property {string} [text]
 * @property {string} [fileKey] of the file, if there is one, like the fields below
 * @property {string} [fileUrl] a download link, which expires
 * @property {string} [fileName]
 * @property {string} [contentType]
 * @property {number} [size] in bytes
 * @property {true} [erased] the operator erased its text and its file
 * @property {string} [clientMessageId] yours, if you sent it from another device a moment ago
 */
/** @typedef {ReceivedMessage & {type: "message"}} MessageFrame sent a moment ago */
/** @typedef {{type: "messages", messages: ReceivedMessage[]}} MessagesFrame missed, oldest first */
/** @typedef {{received?: number, read?: number}} Receipts up to which times of the chat */
/** @typedef {{type: "receipt", chatId: string, userId: string} & Receipts} ReceiptFrame */
/** @typedef {{type: "typing", chatId: string, userId: string}} TypingFrame */
/** @typedef {{type: "history", chatId: string, messages: ReceivedMessage[], more: boolean,
 *   before?: number, receipts: Record<string, Receipts>}} HistoryFrame oldest first */
/** @typedef {{type: "ack", action: "sendmessage", messageId: string, chatId: string,
 *   timestamp: number, delivered: number, clientMessageId: string, duplicate?: true}} AckFrame */
/** @typedef {{type: "ack", action: "sendmessage", chatId: string, received?: number, read?: number,
 *   typing?: true}} SignalAckFrame */
/** @typedef {{type: "upload", action: "sendfile", chatId: string, fileKey: string,
 *   uploadUrl: string, method: "PUT", headers: Record<string, string>,
 *   expiresIn: number}} UploadFrame */
/** @typedef {{type: "download", action: "sendfile", chatId: string, fileKey: string,
 *   fileUrl: string, fileName: string, contentType: string, size: number,
 *   expiresIn: number}} DownloadFrame */
/** @typedef {UploadFrame | DownloadFrame} FileFrame */
/** @typedef {{type: "synced", since: number, until: number, count: number,
 *   complete: boolean}} SyncedFrame */
/** @typedef {UploadFrame | DownloadFrame | HistoryFrame | SyncedFrame} AnswerFrame */
/** @typedef {{type: "error", action: "sendmessage" | "sendfile" | "getmessages", code: string,
 *   message: string, requestId: string, clientMessageId?: string,
 *   retryAfterMs?: number}} ErrorFrame */
/**
 * API Gateway's own error.
 * @typedef {{type?: undefined, message: string, connectionId: string,
 *   requestId: string}} GatewayErrorFrame
 */
/**
 * @typedef {MessageFrame | MessagesFrame | AckFrame | SignalAckFrame | ReceiptFrame | TypingFrame
 *   | AnswerFrame | ErrorFrame | GatewayErrorFrame} ServerFrame
 */
/**
 * A frame as it was parsed: its fields may be missing, or of any type.
 * @template {ServerFrame} [F=ServerFrame]
 * @typedef {F extends unknown
 *   ? {type: F["type"]} & {[Name in Exclude<keyof F, "type">]?: unknown} : never} Unchecked
 */
/** @typedef {"offline" | "connecting" | "catching-up" | "connected" | "waiting"} StateName */
/**
 * What the connection is doing.
 * @typedef {object} State
 * @property {StateName} name
 * @property {number} [retryAt] when it connects again, if it waits; milliseconds since 1970
 * @property {"lost" | "unreachable"} [problem] why it waits: it was open, or it never opened.
 *   Browsers do not distinguish a refused handshake from a backend that does not respond.
 * @property {ChatError} [error] why it does not try again; or, if it waits, why there was no token
 */
/** @typedef {{name: string, type?: string, size?: number}} FileInfo */
/**
 * A message that is not acknowledged yet.
 * @typedef {object} OutboxItem
 * @property {string} clientMessageId
 * @property {string} chatId
 * @property {string} [text]
 * @property {string} [fileKey]
 * @property {FileInfo} [file] what to show of its file; it is not sent
 * @property {number} createdAt milliseconds since 1970
 * @property {"queued" | "refused"} status
 * @property {{code: string, message: string, requestId?: string}} [error] the last one. While the
 *   item is `queued`, it is resent.
 */
/**
 * @typedef {{messageId: string, timestamp: number, delivered?: number,
 *   duplicate?: true}} Ack without `delivered` if the message came back to this device instead
 */
/**
 * An item of the outbox with a promise of its ack. The promise is pending while the item is
 * `queued`, and rejected with a {@link ChatError} when the item is refused or discarded, which may
 * be left unhandled. The property is not enumerable, so that a stored item does not contain it.
 * @typedef {OutboxItem & {readonly ack: Promise<Ack>}} SentItem
 */
/** @typedef {{item: OutboxItem, ack: Ack}} Acknowledged */
/** @typedef {SyncedFrame & {newMessages: number}} Synced with the number since the last one */
/** @typedef {{chatId: string, userId: string} & Receipts} Receipt the greatest times known */
/** @typedef {{chatId: string, userId: string}} Typing of a partner, or of you on another device */
/** @typedef {"received" | "read" | "typing"} SignalName */
/**
 * The payload of each event, as its `detail`.
 * @typedef {object} ChatEvents
 * @property {State} state
 * @property {ReceivedMessage} message
 * @property {OutboxItem} outbox
 * @property {Acknowledged} ack
 * @property {Synced} synced
 * @property {Receipt} receipt
 * @property {Typing} typing
 * @property {ChatError} error
 */
/**
 * What the client uses of a WebSocket.
 * @typedef {object} Socket
 * @property {(type: any, listener: (event: any) => void) => void} addEventListener
 * @property {(data: string) => void} send
 * @property {() => void} close
 */
/**
 * @typedef {object} ChatClientOptions
 * @property {string} url of the stage: `wss://…/prod`
 * @property {string} [userId] may be left out if there is a token. The backend refuses one that is
 *   not the token's, so that no outbox is sent as another user's.
 * @property {string | (() => string | Promise<string>)} [token] for a backend with authentication.
 *   A function is called before each connection. If it throws a {@link ChatError}, the client goes
 *   offline. After another error, and if it returns a token that has expired or is malformed, it
 *   is called again with backoff.
 * @property {number} [since] the last `until` that you stored; 0 the first time
 * @property {Iterable<string>} [seen] the ids of the messages that you have, oldest first. The
 *   last 10,000 count
 * @property {Iterable<OutboxItem>} [outbox] the items that you stored
 * @property {Partial<Record<SignalName, boolean>>} [signals] which are sent; all by default. It is
 *   read before each signal, so it may change
 * @property {new (url: string, protocols: string[]) => Socket} [WebSocket] the global one, by
 *   default. Node has one from version 22; before that, pass the one of the package `ws`
 */
/**
 * @template {keyof ChatEvents} T
 * @callback ChatListener
 * @param {CustomEvent<ChatEvents[T]>} event
 * @returns {void}
 */
/**
 * An EventTarget whose events are {@link ChatEvents}.
 * @typedef {object} ChatEventTarget
 * @property {<T extends keyof ChatEvents>(type: T, listener: ChatListener<T>,
 *   options?: {once?: boolean, signal?: AbortSignal}) => void} addEventListener
 * @property {<T extends keyof ChatEvents>(type: T, listener: ChatListener<T>) => void
 *   } removeEventListener
 * @property {(event: Event) => boolean} dispatchEvent
 */
declare const ChatEventTarget: new () => ChatEventTarget;
/** The pattern of a user id. */
export declare const USER_ID: RegExp;
/** In code points. */
export declare const MAX_TEXT_LENGTH = 4096;
/** An error: a code of the protocol or of this module, and a sentence. */
export declare class ChatError extends Error {
    code: string;
    requestId: string | undefined;
    retryAfterMs: number | undefined;
    /**
     * @param {string} code
     * @param {string} message
     * @param {{requestId?: string, retryAfterMs?: number}} [more]
     */
    constructor(code: string, message: string, { requestId, retryAfterMs }?: {
        requestId?: string;
        retryAfterMs?: number;
    });
}
/** Return a random id. `crypto.randomUUID` does not exist on a page that came by plain HTTP. */
export declare function newId(): string;
/**
 * Return the id of the chat of two users.
 * @param {string} one
 * @param {string} other
 */
export declare function chatIdOf(one: string, other: string): string;
/**
 * Return the claims of a token without verifying it, which the backend does.
 * @param {string} token
 * @returns {Record<string, unknown> | null} null if it is not a JSON Web Token
 */
export declare function claimsOf(token: string): Record<string, unknown> | null;
export type InFlight = {
    item: OutboxItem;
    timer: number;
    /**
     * how many times there was no answer
     */
    timeouts: number;
    /**
     * how many times the answer was an error
     */
    failures: number;
};
export type PromiseOfAck = {
    resolve: (ack: Ack) => void;
    reject: (error: ChatError) => void;
};
export type SentReceipt = {
    kind: "received" | "read";
    chatId: string;
    timestamp: number;
    /**
     * its `clientMessageId`, which an error repeats
     */
    id: string;
    /**
     * whether it is acknowledged or refused; otherwise the next connection
     * sends it again
     */
    isDone: boolean;
};
export type Request = {
    /**
     * what it is about. Of each lane one request at a time is sent, because
     * answers carry no id
     */
    lane: string;
    action: "sendfile" | "getmessages";
    /**
     * to send
     */
    frame: string;
    /**
     * its `clientMessageId`, which an error repeats
     */
    id: string;
    /**
     * returns whether the frame is its answer
     */
    resolve: (frame: AnswerFrame) => boolean;
    reject: (error: Error) => void;
    /**
     * stops the deadline, and listening to its AbortSignal
     */
    release: () => void;
    failures: number;
    /**
     * the last one
     */
    error?: ChatError;
    /**
     * whether it is sent, and an answer is expected
     */
    isAwaited: boolean;
    timer: number;
};
/** One user's connection to the chat, which is opened again until its owner disconnects. */
export declare class ChatClient extends ChatEventTarget {
    #private;
    /** @type {State} */
    state: State;
    /** @param {ChatClientOptions} options */
    constructor({ url, userId, token, since, seen, outbox, signals, ...more }: ChatClientOptions);
    /** Connect, and reconnect after each failure until `disconnect`. */
    connect(): void;
    /**
     * Close the connection. The outbox keeps what is not acknowledged; other requests are rejected as
     * `disconnected`.
     */
    disconnect(): void;
    /**
     * Check the connection now, or reconnect now. The client does it when the network is back, when
     * its page is shown, and after sleep.
     */
    checkConnection(): void;
    /**
     * Send a message once there is a connection, and resend it until it is acknowledged or refused.
     * @param {{chatId: string, text?: string, fileKey?: string, file?: FileInfo}} message
     * @returns {SentItem}
     * @throws {ChatError} if it does not fit in a frame
     */
    send({ chatId, text, fileKey, file }: {
        chatId: string;
        text?: string;
        fileKey?: string;
        file?: FileInfo;
    }): SentItem;
    /**
     * Send a refused message again.
     * @param {string} clientMessageId
     * @returns {SentItem | undefined} the item, with a new promise; undefined if it is not known
     */
    retry(clientMessageId: string): SentItem | undefined;
    /**
     * Remove a message from the outbox. If it was sent already, it may be stored nevertheless.
     * @param {string} clientMessageId
     */
    discard(clientMessageId: string): void;
    /**
     * Upload a file, to send its key in a message.
     *
     * Without a connection it waits up to two minutes for one, and is then rejected as
     * `disconnected`; at once if the client is offline.
     * @param {string} chatId
     * @param {Blob & {readonly name: string}} file such as a File
     * @param {object} [options]
     * @param {string} [options.contentType] if it differs from the file's own
     * @param {(fraction: number) => void} [options.onProgress] from 0 to 1. Without XMLHttpRequest,
     *   as in Node, it is called at the end only
     * @param {AbortSignal} [options.signal]
     * @returns {Promise<string>} its key
     * @throws {ChatError}
     */
    upload(chatId: string, file: Blob & {
        readonly name: string;
    }, { contentType, onProgress, signal }?: {
        contentType?: string;
        onProgress?: (fraction: number) => void;
        signal?: AbortSignal;
    }): Promise<string>;
    /**
     * Return a new download link, with what is known of the file. It waits for a connection as
     * `upload` does.
     * @param {string} chatId
     * @param {string} fileKey
     * @param {AbortSignal} [signal]
     * @returns {Promise<DownloadFrame>} `fileUrl` is the link
     * @throws {ChatError}
     */
    downloadLink(chatId: string, fileKey: string, signal?: AbortSignal): Promise<DownloadFrame>;
    /**
     * Return a page of a chat: what is stored of it, of both users, with new links to files.
     *
     * Pages of one chat are requested one after the other. A page that the connection is closed
     * before is refused as `disconnected`.
     * @param {string} chatId
     * @param {object} [options]
     * @param {number} [options.before] the `before` of the page of newer messages, if there is one
     * @param {number} [options.limit] of messages, 1 to 100; 50 by default
     * @returns {Promise<HistoryFrame>}
     * @throws {ChatError}
     */
    history(chatId: string, { before, limit }?: {
        before?: number;
        limit?: number;
    }): Promise<HistoryFrame>;
    /**
     * Return up to which times a user has received and read a chat, as far as it is known. Each page
     * of the chat's history contains it, and `receipt` tells when it changes.
     * @param {string} chatId
     * @param {string} userId
     * @returns {Receipts}
     */
    receiptsOf(chatId: string, userId: string): Receipts;
    /**
     * Send that everything in a chat up to a message is received. The client does it for what a
     * catch-up brought; a live push counts as delivered already.
     * @param {string} chatId
     * @param {number} timestamp of the message
     */
    markReceived(chatId: string, timestamp: number): void;
    /**
     * Send that the user has read everything in a chat up to a message.
     * @param {string} chatId
     * @param {number} timestamp of the message
     */
    markRead(chatId: string, timestamp: number): void;
    /**
     * Send that the user is typing: call it at each key. It is sent every four seconds at most.
     * @param {string} chatId with a message; the backend refuses to push it in another
     */
    markTyping(chatId: string): void;
}
/**
 * Return whether a value is a time in milliseconds since 1970 that a Date can hold.
 * @param {unknown} value
 * @returns {value is number}
 */
export declare function isTimestamp(value: unknown): value is number;
export {};
