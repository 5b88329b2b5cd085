/** What the page shows of a message: stored, in the outbox, or while its file is being uploaded. */

import { MESSAGE_IS_ERASED } from "./format.js";

/** @typedef {import("./protocol.js").Acknowledged} Acknowledged */
/** @typedef {import("./protocol.js").FileInfo} FileInfo */
/** @typedef {import("./protocol.js").OutboxItem} OutboxItem */
/** @typedef {import("./protocol.js").ReceivedMessage} ReceivedMessage */

/**
 * @typedef {object} Entry
 * @property {string} key unique
 * @property {string} chatId
 * @property {string} senderId
 * @property {boolean} isMine
 * @property {number} timestamp milliseconds since 1970; until it is stored, when it was written
 * @property {"uploading" | "queued" | "refused" | "sent" | "delivered"} [status] if it was sent
 *   from this page; `delivered` if its ack said so
 * @property {string} [text]
 * @property {boolean} [isErased] the text says so
 * @property {string} [fileKey]
 * @property {FileInfo} [file]
 * @property {{code: string, message: string}} [error]
 * @property {number} [progress] of its upload, 0 to 1
 */

/**
 * Return the entry of a stored message.
 * @param {ReceivedMessage} message
 * @param {{me: string, status: Entry["status"]}} options
 * @returns {Entry}
 */
export function entryOfMessage(message, { me, status }) {
  const { messageId, chatId, senderId, timestamp, fileKey, erased: isErased } = message;
  const { fileName = "a file", contentType, size } = message;
  const text = isErased ? MESSAGE_IS_ERASED : message.text;
  return {
    key: messageId, chatId, senderId, isMine: senderId === me, timestamp, text, isErased, fileKey,
    status,
    file: fileKey ? { name: fileName, type: contentType, size } : undefined,
  };
}

/**
 * Return the entry of a message in the outbox.
 * @param {OutboxItem} item
 * @param {string} me
 * @returns {Entry}
 */
export function entryOfItem(item, me) {
  const { clientMessageId, chatId, createdAt, text, fileKey, file, status, error } = item;
  return {
    key: clientMessageId, chatId, senderId: me, isMine: true, timestamp: createdAt, text, fileKey,
    file, status, error,
  };
}

/**
 * Return the entry of a message that was stored now.
 * @param {Acknowledged} acknowledged
 * @param {string} me
 * @returns {Entry}
 */
export function entryOfAck({ item, ack: { messageId, timestamp, delivered } }, me) {
  return {
    ...entryOfItem(item, me), key: messageId, timestamp, error: undefined,
    status: delivered ? "delivered" : "sent",
  };
}

/**
 * Return whether the timestamp of an entry is that of the backend.
 * @param {Entry} entry
 */
export function isStored({ status }) {
  return status === undefined || status === "sent" || status === "delivered";
}

/**
 * Return whether an entry is being sent.
 * @param {Entry} entry
 */
export function isPending({ status }) {
  return status === "queued" || status === "uploading";
}
