/** What `protocol.d.ts` promises: it is current, and examples compile in TypeScript. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TYPES = join(ROOT, "page/protocol.d.ts");

/**
 * Run tsc; return what it prints.
 * @param {string[]} options
 */
function tsc(...options) {
  const { stdout, error } = spawnSync(join(ROOT, "node_modules/.bin/tsc"), options, {
    cwd: ROOT, encoding: "utf8",
  });
  if (error) throw error;
  return stdout;
}

/**
 * Return a new folder, which is removed after the test.
 * @param {import("node:test").TestContext} t
 */
function temporaryFolder(t) {
  const folder = mkdtempSync(join(tmpdir(), "types-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/**
 * Compile a program as somebody would who has copied the two files next to it.
 * @param {import("node:test").TestContext} t
 * @param {string} program
 */
function compile(t, program) {
  const folder = temporaryFolder(t);
  for (const copied of [TYPES, join(ROOT, "page/protocol.js")]) {
    cpSync(copied, join(folder, copied.slice(join(ROOT, "page/").length)));
  }
  cpSync(join(ROOT, "tests/library/types/readme-globals.d.ts"), join(folder, "globals.d.ts"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "program.ts"), program);
  return tsc(
    "--ignoreConfig", "--strict", "--noEmit", "--target", "es2022", "--module", "nodenext",
    "--lib", "es2022,dom", "--types", "", join(folder, "program.ts"), join(folder, "globals.d.ts"));
}

/** Return the example of page/README.md. */
function exampleOfReadme() {
  const [, example] = /```js\n(.*?)```/s.exec(
    readFileSync(join(ROOT, "page/README.md"), "utf8")) ?? [];
  assert.ok(example?.includes('from "./protocol.js"'));
  return example;
}

test("protocol.d.ts is what tsc makes of protocol.js: `make declarations` writes it", (t) => {
  const folder = temporaryFolder(t);
  assert.equal(tsc("--project", "tsconfig.declarations.json", "--outDir", folder), "");
  assert.equal(
    readFileSync(TYPES, "utf8"), readFileSync(join(folder, "protocol.d.ts"), "utf8"));
});

test("the example of the README compiles in TypeScript", (t) => {
  assert.equal(compile(t, exampleOfReadme()), "");
});

test("the example of the README with a wrong field does not compile", (t) => {
  const wrong = exampleOfReadme().replace("detail.until", "detail.untill");
  assert.match(compile(t, wrong), /'untill' does not exist/);
});

test("types/events.ts and the tests have the types that they expect", () => {
  assert.equal(tsc("--project", "tests/library"), "");
});
