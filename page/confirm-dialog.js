/** A question that the user has to answer before something is lost. */

import { cloneTemplate, find } from "./dom.js";

/**
 * Return whether the user agrees. Escape means no.
 * @param {string} question
 * @param {string} action what the button that agrees says
 * @returns {Promise<boolean>}
 */
export function confirmLoss(question, action) {
  const dialog = cloneTemplate("confirm-dialog", HTMLDialogElement);
  find(dialog, "p", HTMLElement).textContent = question;
  dialog.ariaLabel = question;
  const agree = find(dialog, ".agree", HTMLButtonElement);
  agree.textContent = action;
  agree.addEventListener("click", () => dialog.close("agreed"));
  find(dialog, ".stay", HTMLButtonElement).addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "agreed");
    });
  });
}
