/** Files, down: links while they last, pictures, downloads. */

import { ChatError } from "./protocol.js";

// Links last 15 minutes, or less: until the session of the role ends that signed them.
const TRUSTED_MS = 10 * 60_000;

// What some systems call the types that the backend takes.
const OTHER_NAMES = {
  "application/x-zip-compressed": "application/zip",
  "audio/mp3": "audio/mpeg",
  "image/jpg": "image/jpeg",
};

/** Give a file's type as the backend knows it. */
export function contentTypeOf(file) {
  return OTHER_NAMES[file.type] ?? file.type;
}

/** The files of one user's chats. */
export class Files {
  #client;
  #links = new Map();
  #own = new Map();

  /** @param {import("./protocol.js").ChatClient} client */
  constructor(client) {
    this.#client = client;
  }

  /** Remember a link that came with a message. */
  remember(fileKey, url) {
    this.#links.set(fileKey, { url, at: Date.now() });
  }

  /** Remember the bytes of a file that was sent from here. */
  keep(fileKey, file) {
    this.#own.set(fileKey, URL.createObjectURL(file));
  }

  /** Give a link to show a picture by. */
  async pictureOf({ chatId, fileKey }, isFresh = false) {
    return this.#own.get(fileKey) ?? this.#linkTo(chatId, fileKey, isFresh);
  }

  /** Save a file under its name. */
  async download({ chatId, fileKey, file }) {
    let response = await get(await this.#linkTo(chatId, fileKey, false));
    if (!response.ok) response = await get(await this.#linkTo(chatId, fileKey, true));
    if (!response.ok) throw failed(`The storage answers ${response.status}.`);
    const bytes = await response.blob().catch(() => null);
    if (bytes === null) throw failed("The connection broke.");
    // Of no type that could be shown: it would be shown as a part of this page.
    const saved = new Blob([bytes], { type: "application/octet-stream" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(saved);
    link.download = file.name;
    link.rel = "noopener";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  /** Let go of the pictures. */
  close() {
    for (const url of this.#own.values()) URL.revokeObjectURL(url);
    this.#own.clear();
  }

  async #linkTo(chatId, fileKey, isFresh) {
    const link = this.#links.get(fileKey);
    if (!isFresh && link && Date.now() - link.at < TRUSTED_MS) return link.url;
    const { fileUrl } = await this.#client.link(chatId, fileKey);
    this.remember(fileKey, fileUrl);
    return fileUrl;
  }
}

async function get(url) {
  try {
    return await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer" });
  } catch {
    throw failed("The storage is out of reach. Try again.");
  }
}

function failed(message) {
  return new ChatError("download_failed", message);
}
