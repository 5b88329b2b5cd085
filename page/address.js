/** The address bar: what it asks for, and what it shows. */

/**
 * Read what the address asks for, and take the token out of it, so that it is neither seen nor
 * bookmarked nor in this tab's history. A browser may have noted the address before this runs.
 * @returns {{backend: string, token: string, wantsToken: boolean,
 *   sides: {me: string, partner: string}[]}}
 */
export function readAddress() {
  const query = new URLSearchParams(location.search);
  const token = query.get("token") ?? "";
  const wantsToken = query.has("token");
  const me = query.get("me") ?? "";
  const partner = query.get("with") ?? "";
  const sides = [{ me, partner }];
  if (query.get("panes") === "2") sides.push({ me: partner, partner: me });
  if (wantsToken) {
    query.set("token", "");
    replace(query);
  }
  return { backend: query.get("url") || ownBackend(), token, wantsToken, sides };
}

/**
 * Show what is on the page, so that a reload or a bookmark leads back to it.
 * @param {{backend: string, me?: string, partner?: string, panes: number, wantsToken: boolean}} shown
 */
export function showAddress({ backend, me, partner, panes, wantsToken }) {
  const query = new URLSearchParams();
  if (backend !== ownBackend()) query.set("url", backend);
  if (me) query.set("me", me);
  if (partner) query.set("with", partner);
  if (panes > 1) query.set("panes", String(panes));
  // Empty: there was one, and who reloads has to bring it again.
  if (wantsToken) query.set("token", "");
  replace(query);
}

/** The backend that serves this page. */
function ownBackend() {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/prod`;
}

function replace(query) {
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}
