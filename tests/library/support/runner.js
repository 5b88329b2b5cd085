/** Start the local runner on a free port, and stop it. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/**
 * Run the project's template until the test is over.
 * @param {import("node:test").TestContext} test
 * @returns {Promise<string>} the URL of the WebSocket API
 */
export async function startRunner(test) {
  const python = process.env.PYTHON ?? ".venv/bin/python";
  const options = ["--port", "0", "--no-reload", "--index-lag", "0"];
  const runner = spawn(python, ["-m", "local", ...options], {
    cwd: ROOT, stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(runner, "exit");
  test.after(async () => {
    runner.kill("SIGINT");
    await exited;
  });
  for await (const line of createInterface(runner.stdout)) {
    const url = /^Ready: (.*)$/.exec(line)?.[1];
    if (url) {
      runner.stdout.resume(); // a full pipe would block it
      return url;
    }
  }
  throw new Error("The local runner ended before it was ready.");
}
