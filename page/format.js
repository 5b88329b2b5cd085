/** Format what the page shows as text: states, errors, times, sizes. */

import { ChatError } from "./protocol.js";

/** @typedef {import("./protocol.js").State} State */
/** @typedef {import("./message-view.js").Status} Status */

/** What is shown of a file that the backend does not have any more. */
export const FILE_IS_MISSING = "The file is not there any more.";

/** What is shown of a message whose text and file the operator erased. */
export const MESSAGE_IS_ERASED = "This message was erased.";

/** The greatest number of unread messages of a chat that is shown. */
export const MAX_UNREAD = 20;

/** @type {Record<string, string>} */
const ERROR_TITLES = {
  invalid_request: "Not accepted",
  unauthorized: "Not known any more",
  forbidden: "Not allowed",
  not_found: "No such file",
  too_large: "Too large",
  unsupported_type: "This kind of file is not taken",
  internal: "The backend made a mistake",
  unavailable: "The backend is busy",
  gateway: "The backend could not take it",
  no_answer: "No answer",
  disconnected: "Not connected",
  upload_failed: "Not uploaded",
  download_failed: "Not downloaded",
  bad_user_id: "No such user id",
  bad_chat_id: "No such chat",
  bad_token: "No such token",
  no_token: "No token",
  no_storage: "Nothing can be stored",
  token_expired: "Token expired",
  bad_address: "No such address",
};

/**
 * Format an error as a line.
 * @param {{code: string, message: string}} error
 */
export function formatError({ code, message }) {
  return `${ERROR_TITLES[code] ?? "Something went wrong"}. ${message}`.trim();
}

/**
 * Format anything that was thrown.
 * @param {unknown} thrown
 */
export function formatThrown(thrown) {
  if (thrown instanceof ChatError) return formatError(thrown);
  return formatError({ code: "", message: thrown instanceof Error ? thrown.message : String(thrown) });
}

/**
 * Format what the connection is doing.
 * @param {State} state
 * @param {{hasGivenUp: boolean}} options
 */
export function formatState({ name, retryAt = 0, error }, { hasGivenUp }) {
  switch (name) {
    case "connected": return "Connected";
    case "catching-up": return "Catching up";
    case "connecting": return "Connecting";
    case "waiting": {
      const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
      return `Reconnecting in ${seconds} s`;
    }
    default: return error || hasGivenUp ? "Not connected" : "Offline";
  }
}

/**
 * Format why there is no connection, and what to do; return "" if there is nothing to explain.
 * @param {State} state
 * @param {{hasToken: boolean, hasGivenUp: boolean}} options
 */
export function formatProblem({ name, problem, error }, { hasToken, hasGivenUp }) {
  if (error) return formatError(error);
  if (!hasGivenUp && (name !== "waiting" || problem !== "unreachable")) return "";
  const refusal = hasToken
    ? "the token has expired, is somebody else's or is not one for this backend"
    : "it wants a token, or does not take this user id";
  return `There is no connection: the backend is out of reach, or refuses because ${refusal}. `
    + `(Browsers do not tell which.) ${hasGivenUp ? "Several attempts failed." : "Trying again."}`;
}

/**
 * Format the status of a message that the user sent.
 * @param {Status} status
 * @param {{isOnline: boolean, hasError: boolean}} options
 */
export function formatStatus(status, { isOnline, hasError }) {
  switch (status) {
    case "read": return "Read";
    case "delivered": return "Delivered";
    case "sent": return "Sent";
    case "refused": return "Not sent";
    case "uploading": return isOnline ? "Uploading" : "Waits for a connection";
    default: // queued
      if (!isOnline) return "Waits for a connection";
      return hasError ? "Trying again" : "Sending";
  }
}

/**
 * Format that a user is typing.
 * @param {string} userId
 */
export function formatTyping(userId) {
  return `${userId} is typing …`;
}

/**
 * Format whether there are older messages than those that are shown; "" if there is nothing to say.
 * @param {import("./history.js").HistoryState} state
 * @param {boolean} isOnline
 */
export function formatHistory(state, isOnline) {
  switch (state) {
    case "loading": return "Loading earlier messages";
    case "whole": return "This is the start of the chat";
    case "failed": return "";
    default: return isOnline ? "" : "Earlier messages are shown once you are connected";
  }
}

/**
 * Format how many messages arrived while the user was away.
 * @param {number} count
 */
export function formatMissed(count) {
  return count === 1 ? "1 message while you were away" : `${count} messages while you were away`;
}

const time = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dateOfThisYear = new Intl.DateTimeFormat(
  undefined, { weekday: "long", day: "numeric", month: "long" });
const dateOfAnotherYear = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });

/**
 * Format the time of day.
 * @param {number} timestamp
 */
export function formatTime(timestamp) {
  return time.format(timestamp);
}

/**
 * Format the date and the time.
 * @param {number} timestamp
 */
export function formatDateAndTime(timestamp) {
  return dateAndTime.format(timestamp);
}

/**
 * Format when a chat had its latest message: the time of today, or else the day.
 * @param {number} timestamp
 */
export function formatRecent(timestamp) {
  const isToday = new Date(timestamp).toDateString() === new Date().toDateString();
  return (isToday ? time : shortDate).format(timestamp);
}

/**
 * Format how many messages of a chat are unread. More than `MAX_UNREAD` are not counted, so that
 * the number does not depend on how many a tab has loaded.
 * @param {number} count
 */
export function formatUnread(count) {
  return count > MAX_UNREAD ? `${MAX_UNREAD}+` : String(count);
}

/**
 * Format the day: today, yesterday, or the date.
 * @param {number} timestamp
 */
export function formatDay(timestamp) {
  const day = new Date(timestamp);
  const today = new Date();
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (day.toDateString() === today.toDateString()) return "Today";
  if (day.toDateString() === yesterday.toDateString()) return "Yesterday";
  const isThisYear = day.getFullYear() === today.getFullYear();
  return (isThisYear ? dateOfThisYear : dateOfAnotherYear).format(day);
}

/**
 * Format the size of a file; return "" if it is not known.
 * @param {number | undefined} bytes
 */
export function formatSize(bytes) {
  if (bytes === undefined || !Number.isFinite(bytes)) return "";
  if (bytes === 1) return "1 byte";
  const units = ["bytes", "kB", "MB", "GB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  const amount = bytes / 1000 ** power;
  return `${amount.toFixed(power > 0 && amount < 10 ? 1 : 0)} ${units[power]}`;
}
