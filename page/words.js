/** Everything that the page says in words: states, errors, times, sizes. */

const TITLES = {
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
  upload_failed: "Not uploaded",
  download_failed: "Not downloaded",
  bad_user_id: "No such user id",
  bad_token: "No such token",
  no_token: "No token to be had",
  no_storage: "Nothing can be kept",
  token_expired: "Token expired",
  bad_address: "No such address",
};

/** Say in a line what went wrong. */
export function errorInWords({ code, message }) {
  return `${TITLES[code] ?? "Something went wrong"}. ${message}`.trim();
}

/** Say what the connection is doing. */
export function stateInWords({ name, retryAt, error }) {
  switch (name) {
    case "connected": return "Connected";
    case "catching-up": return "Catching up";
    case "connecting": return "Connecting";
    case "waiting": {
      const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
      return `Reconnecting in ${seconds} s`;
    }
    default: return error ? "Not connected" : "Offline";
  }
}

/** Say why there is no connection, and what to do; nothing if there is nothing to say. */
export function problemInWords({ name, problem, error }, { hasToken }) {
  if (error) return errorInWords(error);
  if (name !== "waiting" || problem !== "unreachable") return "";
  const refusal = hasToken
    ? "the token has expired, is somebody else's or is not one for this backend"
    : "it wants a token, or does not take this user id";
  return `There is no connection: the backend is out of reach, or refuses because ${refusal}. `
    + "(Browsers do not tell which.) Trying again.";
}

/** Say how a message of one's own stands. */
export function statusInWords(entry, isOnline) {
  switch (entry.status) {
    case "delivered": return "Delivered";
    // Of a resend nobody says whether the first attempt has reached them.
    case "stored": return entry.duplicate ? "Stored" : "Stored, waits for them";
    case "refused": return "Not sent";
    case "uploading": return isOnline ? "Uploading" : "Waits for a connection";
    case "queued":
      if (!isOnline) return "Waits for a connection";
      return entry.error ? "Trying again" : "Sending";
    default: return "Sent elsewhere";
  }
}

/** Say how many messages came while one was away. */
export function missedInWords(count) {
  return count === 1 ? "1 message while you were away" : `${count} messages while you were away`;
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dateOfAYear = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });

/** Say the time of a day. */
export function timeInWords(timestamp) {
  return clock.format(timestamp);
}

/** Say the whole time. */
export function momentInWords(timestamp) {
  return moment.format(timestamp);
}

/** Say the day. */
export function dayInWords(timestamp) {
  const day = new Date(timestamp);
  const today = new Date();
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (day.toDateString() === today.toDateString()) return "Today";
  if (day.toDateString() === yesterday.toDateString()) return "Yesterday";
  return (day.getFullYear() === today.getFullYear() ? date : dateOfAYear).format(day);
}

/** Say the size of a file. */
export function sizeInWords(bytes) {
  if (!Number.isFinite(bytes)) return "";
  const units = ["bytes", "kB", "MB", "GB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  const amount = bytes / 1000 ** power;
  return `${amount.toFixed(power > 0 && amount < 10 ? 1 : 0)} ${units[power]}`;
}
