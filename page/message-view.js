/** The view of one message. */

import { cloneTemplate, createIcon, find, showText } from "./dom.js";
import {
  FILE_IS_MISSING, formatDateAndTime, formatDay, formatError, formatMissed, formatSize,
  formatStatus, formatThrown, formatTime,
} from "./format.js";
import { linked } from "./links.js";
import { showPicture } from "./picture-dialog.js";
import { ChatError } from "./protocol.js";

// Types that browsers show as a picture, and that cannot contain scripts.
const PICTURE_TYPES = /^image\/(avif|gif|jpeg|png|webp)$/;

/** @typedef {import("./entry.js").Entry} Entry */
/** @typedef {import("./protocol.js").FileInfo} FileInfo */
/** @typedef {import("./protocol.js").Receipts} Receipts */
/** @typedef {import("./files.js").StoredFile} StoredFile */

/**
 * The status of a message of the user: `queued` waits in the outbox.
 * @typedef {"uploading" | "queued" | "refused" | "sent" | "delivered" | "read"} Status
 */

/**
 * What the status of a message depends on: whether there is a connection, and the partner's
 * receipts.
 * @typedef {{isOnline: boolean, receipts: Receipts}} Context
 */

/**
 * @typedef {object} MessageActions
 * @property {(stored: StoredFile) => Promise<void>} download
 * @property {(stored: StoredFile, options: {isRetry: boolean}) => Promise<string>} previewUrl
 * @property {(entry: Entry) => void} retry
 * @property {(entry: Entry) => void} remove
 */

/** A message, with the lines above and below it. */
export class MessageView {
  #parts;
  #entry;
  #actions;
  /** @type {IntersectionObserver | null} */
  #observer = null;

  /**
   * @param {Entry} entry
   * @param {MessageActions} actions
   */
  constructor(entry, actions) {
    this.element = cloneTemplate("message", HTMLLIElement);
    this.#parts = partsOf(this.element);
    this.#entry = entry;
    this.#actions = actions;
    const { sender, download, cancel, remove, retry } = this.#parts;
    this.element.classList.toggle("mine", entry.isMine);
    sender.textContent = entry.isMine ? "You: " : `${entry.senderId}: `;
    this.#showText(entry);
    download.addEventListener("click", () => this.#download());
    for (const button of [cancel, remove]) {
      button.addEventListener("click", () => actions.remove(this.#entry));
    }
    retry.addEventListener("click", () => actions.retry(this.#entry));
    this.#parts.previewFrame.addEventListener("click", () => this.#openPicture());
    if (entry.file) this.#showFile(entry.file);
  }

  /**
   * Show the current status.
   * @param {Entry} entry
   * @param {Context} context
   */
  update(entry, { isOnline, receipts }) {
    if (entry.isErased && !this.#entry.isErased) {
      this.#showText(entry);
      this.#parts.attachment.hidden = true;
    }
    this.#entry = entry;
    const { status, error, progress, retry, remove, actions, cancel, download, time } = this.#parts;
    time.dateTime = new Date(entry.timestamp).toISOString();
    time.textContent = formatTime(entry.timestamp);
    time.title = formatDateAndTime(entry.timestamp);
    if (entry.isMine) {
      const current = statusOf(entry, receipts);
      this.element.dataset.status = current;
      const label = formatStatus(current, { isOnline, hasError: Boolean(entry.error) });
      if (status.textContent !== label) {
        status.replaceChildren(createIcon(current === "uploading" ? "queued" : current), label);
      }
    }
    showText(error, entry.error ? formatError(entry.error) : "");
    // A message that is being resent after an error can be removed, too.
    const isWaiting = entry.status === "queued" && !isOnline;
    actions.hidden = entry.status !== "refused" && !isWaiting && !entry.error;
    retry.hidden = entry.status !== "refused";
    const summary = entry.text ?? entry.file?.name ?? "the message";
    retry.setAttribute("aria-label", `Try again: ${summary}`);
    remove.setAttribute("aria-label", `Remove: ${summary}`);
    const isUploading = entry.status === "uploading";
    progress.hidden = !isUploading;
    if (isUploading) progress.value = entry.progress ?? 0;
    cancel.hidden = !isUploading;
    const stored = storedFileOf(entry);
    download.hidden = stored === null;
    if (stored && isPicture(stored.file)) this.#showPreviewOnceVisible();
  }

  /**
   * Show the day if it differs from that of the message before; move closer to that message if both
   * have the same sender.
   * @param {Entry} [previous]
   */
  showDivider(previous) {
    const day = formatDay(this.#entry.timestamp);
    const isSameDay = previous !== undefined && formatDay(previous.timestamp) === day;
    showText(this.#parts.day, isSameDay ? "" : day);
    const isContinued = isSameDay && previous.senderId === this.#entry.senderId
      && this.#parts.missed.hidden === true;
    this.element.classList.toggle("continued", isContinued);
  }

  /**
   * Show above the message how many arrived while the user was away; hide it if none did.
   * @param {number} count
   */
  showMissed(count) {
    showText(this.#parts.missed, count ? formatMissed(count) : "");
    if (count) this.element.classList.remove("continued");
  }

  /** @param {Entry} entry */
  #showText(entry) {
    const { text } = this.#parts;
    text.replaceChildren(...linked(entry.text ?? ""));
    text.hidden = !entry.text;
    text.classList.toggle("erased", entry.isErased === true);
  }

  /** @param {FileInfo} file */
  #showFile(file) {
    const { attachment, fileName, fileSize, previewFrame } = this.#parts;
    const { download, cancel, progress } = this.#parts;
    const { name } = file;
    attachment.hidden = false;
    fileName.textContent = name;
    fileName.title = name;
    fileSize.textContent = formatSize(file.size);
    previewFrame.hidden = !isPicture(file);
    download.setAttribute("aria-label", `Download ${name}`);
    download.title = "Download";
    previewFrame.setAttribute("aria-label", `Open ${name}`);
    cancel.setAttribute("aria-label", `Cancel the upload of ${name}`);
    cancel.title = "Cancel";
    progress.setAttribute("aria-label", `Upload of ${name}`);
  }

  /** A link costs a request, so it is requested only when the picture becomes visible. */
  #showPreviewOnceVisible() {
    if (this.#observer) return;
    const observer = new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) return;
      observer.disconnect();
      this.#showPreview();
    });
    observer.observe(this.#parts.attachment);
    this.#observer = observer;
  }

  async #showPreview({ isRetry = false } = {}) {
    const stored = storedFileOf(this.#entry);
    if (!stored) return;
    const { preview } = this.#parts;
    preview.onload = () => {
      preview.hidden = false;
    };
    preview.onerror = () => {
      preview.hidden = true;
      if (isRetry) this.#showNoPreview("The picture cannot be shown.");
      else this.#showPreview({ isRetry: true }); // its link may have expired
    };
    try {
      preview.src = await this.#actions.previewUrl(stored, { isRetry });
      preview.alt = stored.file.name;
    } catch (error) {
      const isMissing = error instanceof ChatError && error.code === "not_found";
      this.#showNoPreview(isMissing ? FILE_IS_MISSING : "The picture cannot be loaded now.");
    }
  }

  /** @param {string} reason */
  #showNoPreview(reason) {
    this.#parts.previewFrame.hidden = true;
    showText(this.#parts.noPreview, reason);
  }

  #openPicture() {
    const stored = storedFileOf(this.#entry);
    if (!stored) return;
    showPicture(stored.file.name, (options) => this.#actions.previewUrl(stored, options));
  }

  async #download() {
    const { download, error } = this.#parts;
    const stored = storedFileOf(this.#entry);
    if (!stored || download.ariaBusy === "true") return;
    download.ariaBusy = "true";
    try {
      showText(error, "");
      await this.#actions.download(stored);
    } catch (reason) {
      showText(error, formatThrown(reason));
    } finally {
      download.ariaBusy = "false";
    }
  }
}

/**
 * Return the status of a message of the user. The partner's receipts cover all messages up to a
 * time.
 * @param {Entry} entry
 * @param {Receipts} receipts
 * @returns {Status}
 */
export function statusOf({ status = "sent", timestamp }, { received = 0, read = 0 }) {
  if (status !== "sent" && status !== "delivered") return status;
  if (timestamp <= read) return "read";
  return timestamp <= received ? "delivered" : status;
}

/** @param {HTMLElement} element */
function partsOf(element) {
  return {
    day: find(element, ".day", HTMLElement),
    missed: find(element, ".missed", HTMLElement),
    sender: find(element, ".sender", HTMLElement),
    attachment: find(element, ".attachment", HTMLElement),
    previewFrame: find(element, ".preview-frame", HTMLButtonElement),
    preview: find(element, ".preview", HTMLImageElement),
    noPreview: find(element, ".no-preview", HTMLElement),
    fileName: find(element, ".attachment bdi", HTMLElement),
    fileSize: find(element, ".attachment small", HTMLElement),
    download: find(element, ".download", HTMLButtonElement),
    cancel: find(element, ".cancel", HTMLButtonElement),
    progress: find(element, "progress", HTMLProgressElement),
    text: find(element, ".text", HTMLElement),
    time: find(element, "time", HTMLTimeElement),
    status: find(element, ".status", HTMLElement),
    error: find(element, ".error", HTMLElement),
    actions: find(element, ".actions", HTMLElement),
    retry: find(element, ".retry", HTMLButtonElement),
    remove: find(element, ".remove", HTMLButtonElement),
  };
}

/**
 * @param {Entry} entry
 * @returns {StoredFile | null}
 */
function storedFileOf({ chatId, fileKey, file }) {
  return fileKey && file ? { chatId, fileKey, file } : null;
}

/** @param {FileInfo} file */
function isPicture({ type = "" }) {
  return PICTURE_TYPES.test(type);
}
