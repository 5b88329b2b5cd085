/** The page: one pane, or two side by side. */

import { readAddress, showAddress } from "./address.js";
import { element, icon } from "./element.js";
import { Pane } from "./pane.js";
import { claimsOf } from "./protocol.js";
import { startForm } from "./start.js";

const address = readAddress();
const main = document.querySelector("main");
const switcher = document.querySelector(".switch");
const second = document.querySelector(".second");
const title = document.title;

/** @type {{side: {me: string, partner: string}, pane: Pane | null, element: HTMLElement}[]} */
const slots = [];
let backend = address.backend;
let { wantsToken } = address;
let shown = 0;

function addSlot(side) {
  slots.push({ side, pane: null, element: element("div") });
  return slots.at(-1);
}

function showForm(slot) {
  slot.pane?.close();
  slot.pane = null;
  fill(slot, startForm({
    side: slot.side,
    backend,
    wantsToken,
    isAlone: slots.length === 1,
    onStart: (start) => begin(slot, start),
  }));
}

function begin(slot, { me, chatId, backend: chosen, token, both }) {
  backend = chosen;
  wantsToken = Boolean(token);
  slot.pane = new Pane({
    me, chatId, backend, token,
    onLeave: () => {
      showForm(slot);
      slot.element.querySelector("input").focus();
    },
    onUnread: showUnread,
  });
  slot.side = { me, partner: slot.pane.partner || chatId };
  fill(slot, slot.pane.element);
  slot.pane.look();
  slot.pane.focus();
  if (both) openSecond();
}

/** Open the other side of the chat. With tokens it takes another one, so somebody has to say more. */
function openSecond() {
  const [{ side }] = slots;
  const slot = addSlot({ me: side.partner, partner: side.me });
  if (wantsToken || !canBegin(slot.side)) showForm(slot);
  else begin(slot, { ...startOf(slot.side), token: "" });
  slots[0].pane?.focus();
}

function closeSecond() {
  slots[1].pane?.close();
  slots.length = 1;
  shown = 0;
  arrange();
}

function fill(slot, content) {
  slot.element = content;
  arrange();
}

/** Show what there is: the panes, the buttons above, the address. */
function arrange() {
  const wanted = slots.map((slot) => slot.element);
  for (const child of [...main.children]) if (!wanted.includes(child)) child.remove();
  // What is there already is not moved: that would lose its place and its focus.
  wanted.forEach((content, place) => {
    if (main.children[place] !== content) main.insertBefore(content, main.children[place] ?? null);
  });
  main.dataset.panes = String(slots.length);
  const [{ side, pane }] = slots;
  second.hidden = pane === null && slots.length === 1;
  second.lastElementChild.textContent = slots.length > 1 ? "Close second pane" : "Second pane";
  document.querySelector(".backend").textContent = hostOf(backend);
  if (pane) {
    showAddress({ backend, me: side.me, partner: side.partner, panes: slots.length, wantsToken });
  }
  showSwitch();
}

/** On a narrow page one pane is shown at a time. */
function showSwitch() {
  main.dataset.shown = String(shown);
  const focused = [...switcher.children].indexOf(document.activeElement);
  switcher.hidden = slots.length === 1;
  switcher.replaceChildren(...slots.map(({ pane, side }, number) => {
    const name = element("span", { className: "name" }, side.me || "New");
    const choose = element("button", { type: "button" }, name);
    choose.ariaPressed = String(number === shown);
    if (pane?.unread) choose.append(element("span", { className: "count" }, `${pane.unread} new`));
    choose.addEventListener("click", () => {
      shown = number;
      showSwitch();
      switcher.children[number].focus();
      pane?.look();
    });
    return choose;
  }));
  switcher.children[focused]?.focus();
}

function showUnread() {
  const count = slots.reduce((sum, { pane }) => sum + (pane?.unread ?? 0), 0);
  document.title = count ? `(${count}) ${title}` : title;
  showSwitch();
}

function canBegin({ me, partner }) {
  return Boolean(me && partner) && !partner.includes("#");
}

/** What the form would say, had it been filled in. */
function startOf({ me, partner }) {
  return { me, backend, chatId: [me, partner].sort().join("#"), both: false };
}

function hostOf(url) {
  try {
    return new URL(url).host;
  } catch {
    return "";
  }
}

function everyPane(act) {
  for (const { pane } of slots) if (pane) act(pane);
}

second.addEventListener("click", () => (slots.length > 1 ? closeSecond() : openSecond()));
window.addEventListener("online", () => everyPane((pane) => pane.wake()));
window.addEventListener("beforeunload", (event) => {
  if (slots.some(({ pane }) => pane?.isUploading)) event.preventDefault();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  everyPane((pane) => pane.wake());
  everyPane((pane) => pane.look());
});
window.matchMedia("(max-width: 47.99rem)").addEventListener("change", () => {
  everyPane((pane) => pane.look());
});

const slot = addSlot(address.sides[0]);
const token = address.token;
const named = claimsOf(token)?.sub;
if (typeof named === "string") slot.side.me ||= named;
showForm(slot);
if (token) slot.element.elements.token.value = token;
if (canBegin(slot.side) && (token || !wantsToken)) slot.element.requestSubmit();
if (slot.pane && address.sides.length > 1) openSecond();
