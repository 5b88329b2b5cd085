/** Files of messages: previews, downloads, and the links for both. */

import { FILE_IS_MISSING } from "./format.js";
import { ChatError } from "./protocol.js";

// A link expires after 15 minutes, or earlier: with the session of the role that signed it.
const MAX_LINK_AGE_MS = 10 * 60_000;

/**
 * What some systems call the types that the backend takes.
 * @type {Record<string, string>}
 */
const TYPE_ALIASES = {
  "application/x-zip-compressed": "application/zip",
  "audio/m4a": "audio/mp4",
  "audio/mp3": "audio/mpeg",
  "audio/x-m4a": "audio/mp4",
  "image/jpg": "image/jpeg",
};

/**
 * The file of a stored message.
 * @typedef {object} StoredFile
 * @property {string} chatId
 * @property {string} fileKey
 * @property {import("./protocol.js").FileInfo} file
 */

/**
 * Return a file's type as the backend knows it, without parameters.
 * @param {File} file
 */
export function contentTypeOf(file) {
  const [type] = file.type.split(";");
  return TYPE_ALIASES[type] ?? type;
}

/** The files of one user's chats. */
export class Files {
  #client;
  /** @type {Map<string, {url: string, receivedAt: number}>} download links, by file key */
  #links = new Map();
  /** @type {Map<string, string>} blob URLs of files that were sent from this page, by file key */
  #sent = new Map();

  /** @param {import("./protocol.js").ChatClient} client */
  constructor(client) {
    this.#client = client;
  }

  /**
   * Store the download link that came with a message.
   * @param {string} fileKey
   * @param {string} url
   */
  storeLink(fileKey, url) {
    this.#links.set(fileKey, { url, receivedAt: Date.now() });
  }

  /**
   * Store the bytes of a file that was sent from this page.
   * @param {string} fileKey
   * @param {File} file
   */
  storeSent(fileKey, file) {
    this.#sent.set(fileKey, URL.createObjectURL(file));
  }

  /**
   * Return a URL for the preview of a picture.
   * @param {StoredFile} stored
   * @param {{isRetry: boolean}} options a retry asks for a new link
   */
  async previewUrl({ chatId, fileKey }, { isRetry }) {
    return this.#sent.get(fileKey) ?? this.#linkTo(chatId, fileKey, { isRetry });
  }

  /**
   * Download a file and save it under its name.
   * @param {StoredFile} stored
   * @throws {ChatError}
   */
  async download({ chatId, fileKey, file }) {
    if (this.#client.state.name === "offline") throw downloadError("You are offline.");
    let response = await fetchFile(await this.#linkTo(chatId, fileKey, { isRetry: false }));
    if (!response.ok) {
      response = await fetchFile(await this.#linkTo(chatId, fileKey, { isRetry: true }));
    }
    if (!response.ok) throw downloadError(`The storage answers ${response.status}.`);
    const bytes = await response.blob().catch(() => null);
    if (bytes === null) throw downloadError("The connection broke.");
    // With its own type, a browser might show it as a part of this page.
    const saved = new Blob([bytes], { type: "application/octet-stream" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(saved);
    link.download = file.name;
    link.rel = "noopener";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  /** Release the bytes of the files that were sent. */
  close() {
    for (const url of this.#sent.values()) URL.revokeObjectURL(url);
    this.#sent.clear();
  }

  /**
   * @param {string} chatId
   * @param {string} fileKey
   * @param {{isRetry: boolean}} options
   */
  async #linkTo(chatId, fileKey, { isRetry }) {
    const link = this.#links.get(fileKey);
    if (!isRetry && link && Date.now() - link.receivedAt < MAX_LINK_AGE_MS) return link.url;
    const { fileUrl } = await this.#client.downloadLink(chatId, fileKey).catch((error) => {
      if (error instanceof ChatError && error.code === "not_found") {
        throw new ChatError("not_found", FILE_IS_MISSING);
      }
      throw error;
    });
    this.storeLink(fileKey, fileUrl);
    return fileUrl;
  }
}

/** @param {string} url */
async function fetchFile(url) {
  try {
    return await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer" });
  } catch {
    throw downloadError("The storage is out of reach. Try again.");
  }
}

/** @param {string} message */
function downloadError(message) {
  return new ChatError("download_failed", message);
}
