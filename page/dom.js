/** Elements of the page. Text is set as text, never as HTML, which the page's policy forbids. */

/**
 * Return a new element with properties, and with children that are elements or texts.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Partial<HTMLElementTagNameMap[T]>} [properties]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function createElement(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/**
 * Return the element of a type that a selector finds.
 * @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} type
 * @returns {T}
 * @throws {TypeError} if there is none
 */
export function find(root, selector, type) {
  const found = root.querySelector(selector);
  if (!(found instanceof type)) throw new TypeError(`There is no ${type.name} ${selector}.`);
  return found;
}

/**
 * Return a copy of the one element of a template.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 * @throws {TypeError} if it is of another type
 */
export function cloneTemplate(id, type) {
  const { content } = find(document, `template#${id}`, HTMLTemplateElement);
  const element = document.importNode(content, true).firstElementChild;
  if (!(element instanceof type)) throw new TypeError(`The template ${id} is no ${type.name}.`);
  return element;
}

/**
 * Return an icon, which is hidden from screen readers.
 * @param {string} name
 */
export function createIcon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/**
 * Show a text; hide its element if the text is empty.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function showText(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = !text;
}

/**
 * Show the initial of a user id, on a colour that is always the same for this id.
 * @param {HTMLElement} avatar
 * @param {string} userId
 */
export function showAvatar(avatar, userId) {
  let hue = 7;
  for (const char of userId) hue = (hue * 31 + (char.codePointAt(0) ?? 0)) % 360;
  avatar.style.setProperty("--hue", String(hue));
  avatar.textContent = (userId.match(/[A-Za-z0-9]/)?.[0] ?? "?").toUpperCase();
}
