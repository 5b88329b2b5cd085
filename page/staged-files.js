/** Files that are chosen and not sent yet, for each chat. */

import { createElement, createIcon } from "./dom.js";
import { formatSize } from "./format.js";

/** The list of the files of the chat that is shown, each with a button that removes it. */
export class StagedFiles {
  #element;
  #onRemove;
  /** @type {Map<string, File[]>} by chat id */
  #files = new Map();
  #chatId = "";

  /**
   * @param {HTMLElement} element a list
   * @param {() => void} onRemove is called after the user removed a file
   */
  constructor(element, onRemove) {
    this.#element = element;
    this.#onRemove = onRemove;
  }

  /** The files of the chat that is shown. */
  get files() {
    return this.#files.get(this.#chatId) ?? [];
  }

  /** @param {string} chatId */
  showChat(chatId) {
    this.#chatId = chatId;
    this.#show();
  }

  /** @param {File[]} files */
  add(files) {
    this.#set([...this.files, ...files]);
  }

  /** Remove all files of the chat that is shown. */
  clear() {
    this.#set([]);
  }

  /** @param {File[]} files */
  #set(files) {
    this.#files.set(this.#chatId, files);
    this.#show();
  }

  #show() {
    this.#element.replaceChildren(...this.files.map((file) => this.#itemOf(file)));
    this.#element.hidden = this.files.length === 0;
  }

  /** @param {File} file */
  #itemOf(file) {
    const remove = createElement(
      "button", { type: "button", className: "quiet round", title: "Remove" }, createIcon("close"));
    remove.ariaLabel = `Remove ${file.name}`;
    remove.addEventListener("click", () => {
      this.#set(this.files.filter((each) => each !== file));
      this.#onRemove();
    });
    return createElement(
      "li", {}, createIcon("file"),
      createElement("span", { className: "name", title: file.name }, file.name),
      createElement("small", {}, formatSize(file.size)), remove);
  }
}
