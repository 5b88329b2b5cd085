/** The page's elements. Text goes in as text and never as HTML: the page's policy allows no other. */

/** Make an element, with properties, and children that are elements or texts. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Make a copy of a template's one element. */
export function fromTemplate(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

/** Make an icon: a picture for those who see it, nothing for those who listen. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Show a text; or hide its element if there is none. */
export function showText(shown, text) {
  if (shown.textContent !== text) shown.textContent = text;
  shown.hidden = !text;
}

/** Give somebody a colour of their own, always the same. */
export function colourOf(avatar, userId) {
  let sum = 7;
  for (const char of userId) sum = (sum * 31 + char.codePointAt(0)) % 360;
  avatar.style.setProperty("--hue", String(sum));
  avatar.textContent = (userId.match(/[A-Za-z0-9]/)?.[0] ?? "?").toUpperCase();
}
