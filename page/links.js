/** URLs in the texts of messages. */

import { createElement } from "./dom.js";

const URL_PATTERN = /https?:\/\/[^\s<>"]+/g;

/**
 * Return a text with its URLs as links, which open another tab and do not tell it where from.
 * @param {string} text
 * @returns {(string | HTMLAnchorElement)[]}
 */
export function linked(text) {
  const parts = [];
  let end = 0;
  for (const { 0: match, index } of text.matchAll(URL_PATTERN)) {
    const url = withoutPunctuation(match);
    if (!URL.canParse(url)) continue;
    parts.push(text.slice(end, index), createElement(
      "a", { href: url, target: "_blank", rel: "noopener noreferrer" }, url));
    end = index + url.length;
  }
  return [...parts, text.slice(end)];
}

/**
 * Remove what ends the sentence around a URL; a closing bracket only if the URL does not open it.
 * @param {string} url
 */
function withoutPunctuation(url) {
  let kept = url;
  while (/[.,;:!?'’”»)\]}]$/.test(kept)) {
    if (kept.endsWith(")") && kept.split("(").length >= kept.split(")").length) break;
    kept = kept.slice(0, -1);
  }
  return kept;
}
