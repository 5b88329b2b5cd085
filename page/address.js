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
  if (query.get("panes") === "2") {
    panes.push({ me: query.get("me2") ?? partner, partner: query.get("with2") ?? me });
  }
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
 * @param {Participants[]} shown.panes
 * @param {boolean} shown.needsToken
 * @param {{isNewEntry: boolean}} options whether the Back button returns to the address before
 */
export function writeAddress({ backend, panes: [first, second], needsToken }, { isNewEntry }) {
  const query = new URLSearchParams();
  if (backend !== defaultBackend()) query.set("url", backend);
  if (first.me) query.set("me", first.me);
  if (first.partner) query.set("with", first.partner);
  if (second) {
    query.set("panes", "2");
    const { me, partner } = exchanged(first);
    if (second.me !== me) query.set("me2", second.me);
    if (second.partner !== partner) query.set("with2", second.partner);
  }
  // Empty: after a reload, the page asks for the token again.
  if (needsToken) query.set("token", "");
  if (isNewEntry) history.pushState(null, "", addressOf(query));
  else replaceQuery(query);
}

/**
 * Return the participants as the partner sees them.
 * @param {Participants} participants
 * @returns {Participants}
 */
export function exchanged({ me, partner }) {
  return { me: partner, partner: me };
}

/** Return the address of the backend that serves this page. */
export function defaultBackend() {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/prod`;
}

/** @param {URLSearchParams} query */
function replaceQuery(query) {
  history.replaceState(null, "", addressOf(query));
}

/** @param {URLSearchParams} query */
function addressOf(query) {
  return query.size ? `?${query}` : location.pathname;
}
