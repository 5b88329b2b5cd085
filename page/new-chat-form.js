/** The form that asks for the partner of a new chat. */

import { chatIdFrom } from "./chats.js";
import { find } from "./dom.js";
import { FieldError, hideFieldError, readField, showFieldError } from "./fields.js";

/** The form, which is hidden until it is needed. */
export class NewChatForm {
  #form;
  #partner;

  /**
   * @param {HTMLFormElement} form
   * @param {object} options
   * @param {string} options.me
   * @param {(chatId: string) => void} options.onOpen
   * @param {() => void} options.onClose is called when the form is hidden again
   */
  constructor(form, { me, onOpen, onClose }) {
    this.#form = form;
    this.#partner = find(form, "[name=partner]", HTMLInputElement);
    const close = () => {
      this.#hide();
      onClose();
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      try {
        const chatId = readField(this.#partner, (input) => chatIdFrom(input, me));
        onOpen(chatId);
        close();
      } catch (error) {
        if (!(error instanceof FieldError)) throw error;
        showFieldError(error.input, error.message);
      }
    });
    find(form, ".cancel", HTMLButtonElement).addEventListener("click", close);
    form.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") close();
    });
  }

  /** Show the form, and focus its field. */
  show() {
    this.#form.hidden = false;
    this.#partner.focus();
  }

  #hide() {
    this.#form.reset();
    hideFieldError(this.#partner);
    this.#form.hidden = true;
  }
}
