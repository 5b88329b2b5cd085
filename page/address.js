/** The address bar: read the page's parameters from it, and write them back. */

/**
 * The user of a pane, and the partner of its first chat.
 * @typedef {{me: string, partner: string}} Participants
 */

/**
 * Read the parameters, and remove the token from the address, so that it is not visible, and not in
 * bookmarks or this tab's history. A browser may have recorded the address before this runs.
 * @returns {{backend: string, token: string, needsToken: boolean, panes: Participants[]}}
 */
export function readAddress() {
  const query = new URLSearchParams(location.search);
  const token = query.get("token") ?? "";
  const needsToken = query.has("token");
  const me = query.get("me") ?? "";
  const partner = query.get("with") ?? "";
  const panes = [{ me, partner }];
  if (query.get("panes") === "2") panes.push({ me: partner, partner: me });
  if (needsToken) {
    query.set("token", "");
    replaceQuery(query);
  }
  return { backend: query.get("url") || defaultBackend(), token, needsToken, panes };
}

/**
 * Write the parameters, so that a reload or a bookmark shows the same panes.
 * @param {object} shown
 * @param {string} shown.backend
 * @param {string} shown.me
 * @param {string} shown.partner
 * @param {number} shown.paneCount
 * @param {boolean} shown.needsToken
 */
export function writeAddress({ backend, me, partner, paneCount, needsToken }) {
  const query = new URLSearchParams();
  if (backend !== defaultBackend()) query.set("url", backend);
  if (me) query.set("me", me);
  if (partner) query.set("with", partner);
  if (paneCount > 1) query.set("panes", String(paneCount));
  // Empty: after a reload, the page asks for the token again.
  if (needsToken) query.set("token", "");
  replaceQuery(query);
}

/** Return the address of the backend that serves this page. */
export function defaultBackend() {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/prod`;
}

/** @param {URLSearchParams} query */
function replaceQuery(query) {
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}
