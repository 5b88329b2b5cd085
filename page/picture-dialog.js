/** A picture of a message, shown as large as the page allows. */

import { cloneTemplate, find } from "./dom.js";

/**
 * Show a picture until the user closes it. The focus then returns to where it was.
 * @param {string} name of its file
 * @param {(options: {isRetry: boolean}) => Promise<string>} urlOf a retry asks for a new link
 */
export async function showPicture(name, urlOf) {
  const dialog = cloneTemplate("picture-dialog", HTMLDialogElement);
  const picture = find(dialog, "img", HTMLImageElement);
  const error = find(dialog, ".error", HTMLElement);
  dialog.ariaLabel = name;
  find(dialog, "h2", HTMLElement).textContent = name;
  picture.alt = name;
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog) dialog.close(); // the backdrop
  });
  find(dialog, "button", HTMLButtonElement).addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  const load = async (isRetry = false) => {
    picture.onerror = () => {
      if (isRetry) error.hidden = false;
      else load(true); // its link may have expired
    };
    try {
      picture.src = await urlOf({ isRetry });
    } catch {
      error.hidden = false;
    }
  };
  await load();
}
