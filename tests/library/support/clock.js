/**
 * The clock of the client, which the test moves. Only timers that protocol.js itself sets are
 * replaced: those of sockets and HTTP connections belong to this process, and go on.
 */

const real = {
  setTimeout: globalThis.setTimeout,
  setInterval: globalThis.setInterval,
  clearTimeout: globalThis.clearTimeout,
  clearInterval: globalThis.clearInterval,
};

/** Let sockets and promises go on, for a moment of real time. */
export function realDelay() {
  return /** @type {Promise<void>} */ (new Promise((resolve) => {
    real.setTimeout(resolve, 2);
  }));
}

/** Return whether the function that called the caller is in protocol.js. */
function isCalledByClient() {
  return new Error().stack?.split("\n")[3]?.includes("/page/protocol.js");
}

/** Timers that are called in order when their time comes. */
class Timers {
  /** @type {Map<number, {callback: () => void, at: number, every: number}>} */
  #timers = new Map();
  #lastId = 0;
  #elapsed = 0;

  /**
   * @param {() => void} callback
   * @param {number} delay in milliseconds
   * @param {number} every also in milliseconds; 0 for a timer that is called once
   */
  set(callback, delay, every) {
    this.#lastId -= 1; // no id of the process is negative
    this.#timers.set(this.#lastId, { callback, at: this.#elapsed + delay, every });
    return this.#lastId;
  }

  /** @param {number} id */
  clear(id) {
    return this.#timers.delete(id);
  }

  /** @param {number} milliseconds */
  advance(milliseconds) {
    const end = this.#elapsed + milliseconds;
    for (let next = this.#nextUntil(end); next; next = this.#nextUntil(end)) {
      const [id, timer] = next;
      this.#elapsed = timer.at;
      if (timer.every) timer.at += timer.every;
      else this.#timers.delete(id);
      timer.callback();
    }
    this.#elapsed = end;
  }

  /** @param {number} end */
  #nextUntil(end) {
    return [...this.#timers].filter(([, { at }]) => at <= end)
      .sort(([, one], [, other]) => one.at - other.at)[0];
  }
}

/**
 * Stop the client's clock; return functions that let time pass.
 * @param {import("node:test").TestContext} test
 */
export function stopClock(test) {
  const timers = new Timers();
  let now = Date.now();
  test.mock.method(Date, "now", () => now);
  test.after(() => Object.assign(globalThis, real));
  Object.assign(globalThis, {
    /** @type {(callback: () => void, delay?: number, ...args: []) => unknown} */
    setTimeout: (callback, delay = 0, ...args) => isCalledByClient()
      ? timers.set(callback, delay, 0) : real.setTimeout(callback, delay, ...args),
    /** @type {(callback: () => void, delay?: number, ...args: []) => unknown} */
    setInterval: (callback, delay = 0, ...args) => isCalledByClient()
      ? timers.set(callback, delay, delay) : real.setInterval(callback, delay, ...args),
    /** @param {any} timer */
    clearTimeout: (timer) => timers.clear(timer) || real.clearTimeout(timer),
    /** @param {any} timer */
    clearInterval: (timer) => timers.clear(timer) || real.clearInterval(timer),
  });
  return {
    /** @param {number} seconds that the process runs */
    async run(seconds) {
      for (let second = 0; second < seconds; second += 1) {
        now += 1000;
        timers.advance(1000);
        await realDelay();
      }
    },
    /** @param {number} seconds that the machine sleeps, in which timers do not advance */
    sleep(seconds) {
      now += seconds * 1000;
    },
  };
}
