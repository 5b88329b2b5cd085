/** The composer: the text and the files of the next message. */

import { find } from "./dom.js";
import { problemOf } from "./file-limits.js";
import { MAX_TEXT_LENGTH } from "./protocol.js";
import { StagedFiles } from "./staged-files.js";

// A keyboard on the screen has no Shift+Enter.
const onScreenKeyboard = globalThis.matchMedia("(pointer: coarse)");

/**
 * @typedef {object} ComposerActions
 * @property {(text: string, files: File[]) => boolean} onSend returns whether it took them
 * @property {(text: string) => void} onInput is called with each change of the text
 * @property {(problem: string) => void} onProblem is called with "" when there is none any more
 */

/** The form below the messages. Files are dropped on the whole pane. */
export class Composer {
  #text;
  #staged;
  #dropHint;
  #actions;

  /**
   * @param {HTMLElement} pane contains the form
   * @param {ComposerActions} actions
   */
  constructor(pane, actions) {
    this.#actions = actions;
    this.#text = find(pane, ".composer textarea", HTMLTextAreaElement);
    this.#dropHint = find(pane, ".drop-hint", HTMLElement);
    this.#staged = new StagedFiles(find(pane, ".staged", HTMLElement), () => {
      actions.onProblem("");
      this.focus();
    });
    if (onScreenKeyboard.matches) this.#text.enterKeyHint = "enter";
    this.#listenToForm(find(pane, ".composer", HTMLFormElement));
    this.#listenToDrops(pane);
  }

  /** Whether files are chosen and not sent. */
  get hasFiles() {
    return this.#staged.files.length > 0;
  }

  /** Focus the text. */
  focus() {
    this.#text.focus();
  }

  /**
   * Show the draft of a chat.
   * @param {string} chatId
   * @param {{draft: string, partner: string}} chat
   */
  showChat(chatId, { draft, partner }) {
    this.#text.value = draft;
    this.#staged.showChat(chatId);
    this.#dropHint.textContent = `Drop files here to send them to ${partner}`;
  }

  /** @param {HTMLFormElement} form */
  #listenToForm(form) {
    const text = this.#text;
    const fileInput = find(form, ".file-input", HTMLInputElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    // A press of Send leaves the focus in the text, which keeps the keyboard of a phone open.
    find(form, ".send", HTMLButtonElement).addEventListener(
      "mousedown", (event) => event.preventDefault());
    text.addEventListener("keydown", (event) => {
      // In an input method, Enter completes a word.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      if (onScreenKeyboard.matches) return;
      event.preventDefault();
      this.#send();
    });
    text.addEventListener("input", () => this.#onInput());
    text.addEventListener("paste", (event) => {
      const data = event.clipboardData;
      // Text that is copied from a document comes with a picture of it.
      if (!data || data.files.length === 0 || data.types.includes("text/plain")) return;
      event.preventDefault();
      this.#stage(data.files);
    });
    find(form, ".attach", HTMLButtonElement).addEventListener("click", () => fileInput.click());
    fileInput.addEventListener("change", () => {
      this.#stage(fileInput.files ?? []);
      fileInput.value = "";
    });
  }

  /** @param {HTMLElement} pane */
  #listenToDrops(pane) {
    pane.addEventListener("dragover", (event) => {
      const types = event.dataTransfer?.types ?? [];
      const hasFiles = types.includes("Files");
      this.#dropHint.hidden = !hasFiles;
      if (hasFiles || (types.includes("text/plain") && !isInput(event.target))) {
        event.preventDefault();
      }
    });
    pane.addEventListener("dragleave", ({ relatedTarget }) => {
      if (!(relatedTarget instanceof Node && pane.contains(relatedTarget))) {
        this.#dropHint.hidden = true;
      }
    });
    pane.addEventListener("drop", (event) => {
      this.#dropHint.hidden = true;
      const data = event.dataTransfer;
      if (!data) return;
      if (data.files.length > 0) {
        event.preventDefault();
        this.#stage(data.files);
      } else if (!isInput(event.target)) {
        event.preventDefault();
        this.#insert(data.getData("text/plain"));
      }
    });
  }

  /** @param {string} dropped */
  #insert(dropped) {
    const { selectionStart, selectionEnd } = this.#text;
    this.#text.setRangeText(dropped, selectionStart, selectionEnd, "end");
    this.focus();
    this.#onInput();
  }

  #onInput() {
    this.#actions.onProblem("");
    this.#actions.onInput(this.#text.value);
  }

  /** @param {Iterable<File>} files */
  #stage(files) {
    const chosen = [...files];
    this.#staged.add(chosen.filter((file) => !problemOf(file)));
    this.#actions.onProblem(chosen.map(problemOf).filter(Boolean).join(" "));
    this.focus();
  }

  #send() {
    const text = this.#text.value.trim();
    const length = [...text].length;
    if (length === 0 && !this.hasFiles) return;
    if (length > MAX_TEXT_LENGTH) {
      this.#actions.onProblem(
        `Too long: ${length} characters. A message may have ${MAX_TEXT_LENGTH}.`);
      return;
    }
    this.#actions.onProblem("");
    if (!this.#actions.onSend(text, this.#staged.files)) return;
    this.#staged.clear();
    this.#text.value = "";
    this.#actions.onInput("");
  }
}

/** @param {EventTarget | null} target */
function isInput(target) {
  return target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement;
}
