/** One message on the page. */

import { fromTemplate, icon, showText } from "./element.js";
import {
  dayInWords, errorInWords, missedInWords, momentInWords, sizeInWords, statusInWords, timeInWords,
} from "./words.js";

// What browsers show as a picture, and in which nothing runs.
const PICTURES = /^image\/(avif|gif|jpeg|png|webp)$/;

/**
 * What there is to show of a message.
 * @typedef {object} Entry
 * @property {string} key one for each bubble
 * @property {string} chatId
 * @property {string} senderId
 * @property {boolean} isMine
 * @property {number} timestamp milliseconds since 1970; of what is not stored yet, when it was written
 * @property {"uploading" | "queued" | "refused" | "stored" | "delivered" | undefined} status of
 *   one's own
 * @property {boolean} [duplicate] whether it was stored already when it was acknowledged
 * @property {string} [text]
 * @property {string} [fileKey]
 * @property {{name: string, type: string, size: number}} [file]
 * @property {{code: string, message: string}} [error]
 * @property {number} [progress] of its upload, 0 to 1
 */

/**
 * What a bubble asks of its pane.
 * @typedef {object} Acts
 * @property {(entry: Entry) => Promise<void>} download
 * @property {(entry: Entry) => Promise<string>} pictureOf gives a link for the preview
 * @property {(entry: Entry) => void} retry
 * @property {(entry: Entry) => void} remove
 */

/** A bubble, with what is said above and below it. */
export class Bubble {
  #parts;
  #entry;
  #acts;
  #watcher = null;

  /**
   * @param {Entry} entry
   * @param {Acts} acts
   */
  constructor(entry, acts) {
    this.element = fromTemplate("message");
    this.#acts = acts;
    const find = (selector) => this.element.querySelector(selector);
    this.#parts = Object.fromEntries([
      "day", "missed", "speaker", "attachment", "frame", "preview", "progress", "text", "status",
      "error", "actions", "download", "cancel", "retry", "remove",
    ].map((name) => [name, find(name === "progress" ? name : `.${name}`)]));
    this.element.classList.toggle("mine", entry.isMine);
    this.#parts.speaker.textContent = entry.isMine ? "You: " : `${entry.senderId}: `;
    showText(this.#parts.text, entry.text ?? "");
    this.#parts.download.addEventListener("click", () => this.#download());
    for (const name of ["cancel", "remove"]) {
      this.#parts[name].addEventListener("click", () => acts.remove(this.#entry));
    }
    this.#parts.retry.addEventListener("click", () => acts.retry(this.#entry));
    if (entry.file) this.#showFile(entry.file);
  }

  /** Show how it stands. */
  update(entry, isOnline) {
    this.#entry = entry;
    const { status, error, progress, retry, remove } = this.#parts;
    const time = this.element.querySelector("time");
    time.dateTime = new Date(entry.timestamp).toISOString();
    time.textContent = timeInWords(entry.timestamp);
    time.title = momentInWords(entry.timestamp);
    this.element.dataset.status = entry.status ?? "";
    if (entry.isMine) {
      const words = statusInWords(entry, isOnline);
      if (status.textContent !== words) {
        const sign = entry.status === "uploading" ? "queued" : entry.status ?? "stored";
        status.replaceChildren(icon(sign), words);
      }
    }
    showText(error, entry.error ? errorInWords(entry.error) : "");
    // What is tried again by itself can be given up, too.
    this.#parts.actions.hidden = entry.status !== "refused" && !entry.error;
    retry.hidden = entry.status !== "refused";
    const what = entry.text ?? entry.file?.name ?? "the message";
    retry.setAttribute("aria-label", `Try again: ${what}`);
    remove.setAttribute("aria-label", `Remove: ${what}`);
    const isUploading = entry.status === "uploading";
    progress.hidden = !isUploading;
    progress.value = entry.progress ?? 0;
    this.#parts.cancel.hidden = !isUploading;
    this.#parts.download.hidden = !entry.fileKey;
    if (entry.fileKey && PICTURES.test(entry.file.type)) this.#showPictureOnceSeen();
  }

  /** Show what divides it from the message before, if anything does. */
  divide(before) {
    const day = dayInWords(this.#entry.timestamp);
    const isAnother = !before || dayInWords(before.timestamp) !== day;
    showText(this.#parts.day, isAnother ? day : "");
    const isSequel = !isAnother && before.senderId === this.#entry.senderId
      && this.#parts.missed.hidden;
    this.element.classList.toggle("sequel", isSequel);
  }

  /** Say that it is the first of so many that came while one was away; 0: that it no longer is. */
  showMissed(count) {
    showText(this.#parts.missed, count ? missedInWords(count) : "");
    if (count) this.element.classList.remove("sequel");
  }

  #showFile({ name, type, size }) {
    const { attachment, download, cancel, progress } = this.#parts;
    attachment.hidden = false;
    attachment.querySelector("bdi").textContent = name;
    attachment.querySelector("small").textContent = sizeInWords(size);
    this.#parts.frame.hidden = !PICTURES.test(type);
    download.setAttribute("aria-label", `Download ${name}`);
    download.title = "Download";
    cancel.setAttribute("aria-label", `Cancel the upload of ${name}`);
    cancel.title = "Cancel";
    progress.setAttribute("aria-label", `Upload of ${name}`);
  }

  /** A link costs a request, so none is asked for before the picture would be seen. */
  #showPictureOnceSeen() {
    if (this.#watcher) return;
    this.#watcher = new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) return;
      this.#watcher.disconnect();
      this.#showPicture();
    });
    this.#watcher.observe(this.#parts.attachment);
  }

  async #showPicture(isSecondTry = false) {
    const { frame, preview } = this.#parts;
    preview.onload = () => {
      preview.hidden = false;
    };
    preview.onerror = () => {
      preview.hidden = true;
      if (isSecondTry) frame.hidden = true; // it is no picture
      else this.#showPicture(true); // its link may have run out
    };
    try {
      preview.src = await this.#acts.pictureOf(this.#entry, isSecondTry);
      preview.alt = this.#entry.file.name;
    } catch {
      frame.hidden = true; // to download it says what is wrong
    }
  }

  async #download() {
    const { download, error } = this.#parts;
    if (download.ariaBusy === "true") return;
    download.ariaBusy = "true";
    try {
      showText(error, "");
      await this.#acts.download(this.#entry);
    } catch (reason) {
      showText(error, errorInWords(reason));
    } finally {
      download.ariaBusy = "false";
    }
  }
}
