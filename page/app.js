/** The page: one pane, or two side by side. */

import { defaultBackend, exchanged, readAddress, writeAddress } from "./address.js";
import { ChatPane } from "./chat-pane.js";
import { confirmLoss } from "./confirm-dialog.js";
import { databaseId } from "./database.js";
import { createElement, find } from "./dom.js";
import { chatIdOf, claimsOf } from "./protocol.js";
import { StartForm } from "./start-form.js";
import { forgetOtherDatabase } from "./storage.js";

/** @typedef {import("./address.js").Participants} Participants */

/**
 * A place on the page: a chat pane, or the form that opens one.
 * @typedef {object} Slot
 * @property {Participants} participants
 * @property {ChatPane | null} pane
 * @property {HTMLElement} element
 */

const address = readAddress();
const main = find(document, "main", HTMLElement);
const paneSwitch = find(document, ".pane-switch", HTMLElement);
const secondPane = find(document, ".second-pane", HTMLButtonElement);
const secondPaneLabel = find(secondPane, "span", HTMLElement);
const backendLabel = find(document, ".backend", HTMLElement);
const title = document.title;

/** @type {Slot[]} */
const slots = [];
let { backend, needsToken } = address;
// On a narrow page one slot is visible at a time.
let visibleIndex = 0;

/**
 * @param {Participants} participants
 * @returns {Slot}
 */
function addSlot(participants) {
  const slot = { participants, pane: null, element: createElement("div") };
  slots.push(slot);
  return slot;
}

/** @param {Slot} slot */
function showForm(slot) {
  slot.pane?.close();
  slot.pane = null;
  const form = new StartForm({
    participants: slot.participants,
    backend,
    needsToken,
    canOpenBoth: slots.length === 1,
    onStart: (start) => {
      openPane(slot, start);
      if (start.opensBoth) openSecondPane();
    },
  });
  slot.element = form.element;
  render();
  return form;
}

/**
 * @param {Slot} slot
 * @param {{me: string, chatId: string, backend: string, token: string}} start
 */
function openPane(slot, { me, chatId, backend: chosenBackend, token }) {
  backend = chosenBackend;
  needsToken = Boolean(token);
  const pane = new ChatPane({
    me, chatId, backend, token,
    onLeave: () => leaveFor(slot, (form) => form.focus()),
    onEnterToken: () => leaveFor(slot, (form) => form.askForToken()),
    onChat: () => {
      slot.participants = { me, partner: pane.partner || pane.chatId };
      saveAddress({ isNewEntry: true });
    },
    onUnread: showUnread,
    onConnected: () => void reloadForOtherDatabase(),
  });
  slot.pane = pane;
  slot.participants = { me, partner: pane.partner || chatId };
  slot.element = pane.element;
  render();
  pane.markRead();
  pane.focus();
}

/**
 * Open a second pane, the partner's; or the form, if it needs a token or user id.
 * @param {Participants} participants
 */
function openSecondPane({ me, partner } = exchanged(slots[0].participants)) {
  const [first] = slots;
  const slot = addSlot({ me, partner });
  if (needsToken || !isComplete(slot.participants)) showForm(slot);
  else openPane(slot, { me, chatId: chatIdOf(me, partner), backend, token: "" });
  first.pane?.focus();
}

/**
 * Show the form in place of a pane, if the user agrees to lose what is not uploaded.
 * @param {Slot} slot
 * @param {(form: StartForm) => void} focus
 */
async function leaveFor(slot, focus) {
  if (await mayClose(slot)) focus(showForm(slot));
}

/** @param {Slot} slot */
async function mayClose({ pane }) {
  if (!pane?.hasUnsentFiles) return true;
  return confirmLoss("Files are not sent yet. Leave, and do not send them?", "Leave");
}

async function closeSecondPane() {
  const second = slots[1];
  if (!await mayClose(second) || slots[1] !== second) return;
  second.pane?.close();
  slots.length = 1;
  visibleIndex = 0;
  render();
}

/** Show the slots, the header above them, and the address. */
function render() {
  const elements = slots.map((slot) => slot.element);
  for (const child of [...main.children]) {
    if (!elements.some((element) => element === child)) child.remove();
  }
  // An element that is at its place is not moved: it would lose its focus and scroll position.
  elements.forEach((element, index) => {
    const current = main.children.item(index);
    if (current !== element) main.insertBefore(element, current);
  });
  main.dataset.panes = String(slots.length);
  const [{ pane }] = slots;
  secondPane.hidden = pane === null && slots.length === 1;
  secondPaneLabel.textContent = slots.length > 1 ? "Close second pane" : "Second pane";
  backendLabel.textContent = hostOf(backend);
  backendLabel.title = `The backend: ${backend}`;
  saveAddress({ isNewEntry: false });
  renderSwitch();
}

/**
 * Write what is shown into the address.
 * @param {{isNewEntry: boolean}} options whether the Back button returns to what was shown before
 */
function saveAddress(options) {
  if (!slots[0].pane) return;
  const panes = slots.map(({ participants }) => participants);
  writeAddress({ backend, panes, needsToken }, options);
}

/** Show the chats of the address that the Back button returned to. */
function followAddress() {
  readAddress().panes.forEach(({ me, partner }, index) => {
    const slot = slots[index];
    if (!slot?.pane || slot.participants.me !== me) return;
    slot.participants = { me, partner };
    slot.pane.returnTo(partner.includes("#") ? partner : chatIdOf(me, partner));
  });
  saveAddress({ isNewEntry: false });
}

/** Show a button for each slot, and return the buttons. */
function renderSwitch() {
  main.dataset.visible = String(visibleIndex);
  const buttons = slots.map((slot, index) => switchButton(slot, index));
  const focused = [...paneSwitch.children].findIndex((child) => child === document.activeElement);
  paneSwitch.hidden = slots.length === 1;
  paneSwitch.replaceChildren(...buttons);
  buttons[focused]?.focus();
  return buttons;
}

/**
 * @param {Slot} slot
 * @param {number} index
 */
function switchButton({ pane, participants }, index) {
  const label = participants.me || "New";
  const name = createElement("span", { className: "name", title: label }, label);
  const button = createElement("button", { type: "button" }, name);
  button.ariaPressed = String(index === visibleIndex);
  if (pane?.unread) {
    button.append(createElement("span", { className: "count" }, `${pane.unread} new`));
  }
  button.addEventListener("click", () => {
    visibleIndex = index;
    renderSwitch()[index].focus();
    pane?.markRead();
  });
  return button;
}

function showUnread() {
  const count = slots.reduce((sum, { pane }) => sum + (pane?.unread ?? 0), 0);
  document.title = count ? `(${count}) ${title}` : title;
  renderSwitch();
}

/** @param {Participants} participants */
function isComplete({ me, partner }) {
  return me !== "" && partner !== "" && !partner.includes("#");
}

/** @param {string} url */
function hostOf(url) {
  try {
    return new URL(url).host;
  } catch {
    return "";
  }
}

/** @param {(pane: ChatPane) => void} act */
function forEachPane(act) {
  for (const { pane } of slots) if (pane) act(pane);
}

/** Show the panes that the address asks for, or the form where something is missing. */
function openFromAddress() {
  const [participants] = address.panes;
  const userId = claimsOf(address.token)?.sub;
  if (typeof userId === "string") participants.me ||= userId;
  const slot = addSlot(participants);
  const form = showForm(slot);
  form.setToken(address.token);
  if (isComplete(participants) && (address.token || !needsToken)) form.submit();
  if (!slot.pane && needsToken) form.requireToken();
  if (slot.pane && address.panes.length > 1) openSecondPane(address.panes[1]);
}

/** Say so if the backend of this page has another database than the last time. */
function forgetIfDatabaseIsNew() {
  try {
    const wasForgotten = forgetOtherDatabase(defaultBackend(), databaseId);
    find(document, ".new-database", HTMLElement).hidden = !wasForgotten;
  } catch {
    // Without storage nothing is remembered, and each pane says so.
  }
}

/** Load the page again if the backend came back with another database. */
async function reloadForOtherDatabase() {
  if (!databaseId) return;
  try {
    const answer = await fetch("database.js");
    if (answer.ok && !(await answer.text()).includes(databaseId)) location.reload();
  } catch {
    // The connection is gone again; the next one asks again.
  }
}

secondPane.addEventListener("click", () => {
  if (slots.length > 1) closeSecondPane();
  else openSecondPane();
});
window.addEventListener("popstate", followAddress);
window.addEventListener("focus", () => forEachPane((pane) => pane.markRead()));
window.addEventListener("beforeunload", (event) => {
  if (slots.some(({ pane }) => pane?.hasUnsentFiles)) event.preventDefault();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) forEachPane((pane) => pane.markRead());
});
window.matchMedia("(max-width: 47.99rem)").addEventListener("change", () => {
  forEachPane((pane) => pane.markRead());
});
forgetIfDatabaseIsNew();
openFromAddress();
