/** Errors of a form, each at its field: the field has the focus, and is described by its error. */

import { find, showText } from "./dom.js";
import { formatError } from "./format.js";
import { ChatError, newId } from "./protocol.js";

/** A field that is not valid. */
export class FieldError extends Error {
  /**
   * @param {HTMLInputElement} input
   * @param {ChatError} reason
   */
  constructor(input, reason) {
    super(formatError(reason));
    this.input = input;
  }
}

/**
 * Return what a function makes of the value of a field.
 * @template T
 * @param {HTMLInputElement} input
 * @param {(value: string) => T} read
 * @throws {FieldError} if the function throws a ChatError
 */
export function readField(input, read) {
  try {
    return read(input.value.trim());
  } catch (error) {
    if (error instanceof ChatError) throw new FieldError(input, error);
    throw error;
  }
}

/**
 * Show an error at its field until the user changes the field, and focus the field.
 * @param {HTMLInputElement} input in an element of the class `field`, which has one `field-error`
 * @param {string} text
 */
export function showFieldError(input, text) {
  const line = errorLineOf(input);
  line.id ||= `error-${newId()}`;
  const describedBy = (input.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean);
  input.setAttribute("aria-describedby", [...new Set([line.id, ...describedBy])].join(" "));
  input.ariaInvalid = "true";
  showText(line, text);
  input.focus();
  input.addEventListener("input", () => hideFieldError(input), { once: true });
}

/**
 * Hide the error of a field.
 * @param {HTMLInputElement} input
 */
export function hideFieldError(input) {
  input.removeAttribute("aria-invalid");
  showText(errorLineOf(input), "");
}

/** @param {HTMLInputElement} input */
function errorLineOf(input) {
  const field = input.closest(".field");
  if (!field) throw new TypeError("The input is not in a field.");
  return find(field, ".field-error", HTMLElement);
}
