/** The switches for the signals that this browser sends: what others see of the user. */

import { find } from "./dom.js";

/** @typedef {import("./protocol.js").SignalName} SignalName */

/** Three checkboxes, whose state is stored. */
export class SignalSwitches {
  #storage;

  /**
   * @param {HTMLElement} element contains a checkbox for each signal, with its name
   * @param {import("./storage.js").ChatStorage} storage
   * @param {() => void} onChange is called when the user turns a signal on or off
   */
  constructor(element, storage, onChange) {
    this.#storage = storage;
    for (const signal of /** @type {SignalName[]} */ (["received", "read", "typing"])) {
      const checkbox = find(element, `[name=${signal}]`, HTMLInputElement);
      checkbox.checked = storage.sends(signal);
      checkbox.addEventListener("change", () => {
        storage.storeSends(signal, checkbox.checked);
        onChange();
      });
    }
  }

  /** Which signals are sent now: another tab may have turned one off. */
  get signals() {
    const storage = this.#storage;
    return {
      get received() { return storage.sends("received"); },
      get read() { return storage.sends("read"); },
      get typing() { return storage.sends("typing"); },
    };
  }
}
