"""Tokens, as a real browser sends them, and connections that end with them."""

import time
from collections.abc import Iterator

import pytest
from playwright.async_api import Page

from tests.support.device import device
from tests.support.issuer import AUDIENCE, Issuer, issuer
from tests.support.runner import LocalRunner, Target, local_runner
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def served() -> Iterator[Issuer]:
    with issuer() as served:
        yield served


@pytest.fixture(scope="module")
def closed(served: Issuer, target: Target) -> Iterator[LocalRunner]:
    """A backend that requires tokens, for the page of the other one."""
    parameters = [f"JwtIssuer={served.url}", f"JwtAudience={AUDIENCE}"]
    origin = str(target.page).rstrip("/")
    with local_runner("--allow-origin", origin, "--parameter-overrides", *parameters) as runner:
        yield runner


# Opens a socket; returns what was chosen, or that it failed.
OPEN = """([url, protocols]) => new Promise((resolve) => {
  const socket = new WebSocket(url, protocols);
  socket.onopen = () => { resolve(socket.protocol); socket.close(); };
  socket.onerror = () => resolve("failed");
})"""


async def until(page: Page, condition: str) -> None:
    """Wait until an expression is true. Playwright's own way is against the page's policy."""
    while not await page.evaluate(condition):
        await page.wait_for_timeout(100)


async def test_browser_connects_with_the_token_as_a_sub_protocol(
    page: Page, target: Target, closed: LocalRunner, served: Issuer, pair: Pair
) -> None:
    await page.goto(str(target.page))
    protocols = ["bearer", served.token(pair.first)]
    assert await page.evaluate(OPEN, [closed.url, protocols]) == "bearer"


@pytest.mark.parametrize("offered", [["bearer", "e30.e30.e30"], ["chat.v1"], ["chat.v1", "bearer"]])
async def test_browser_that_offers_sub_protocols_can_connect_in_the_open_mode(
    page: Page, target: Target, pair: Pair, offered: list[str]
) -> None:
    await page.goto(str(target.page))
    chosen = await page.evaluate(OPEN, [f"{target.url}?userId={pair.first}", offered])
    assert chosen == ("bearer" if "bearer" in offered else offered[0])


async def test_client_reconnects_with_a_fresh_token_and_misses_nothing(
    page: Page, target: Target, closed: LocalRunner, served: Issuer, pair: Pair
) -> None:
    """Its first token expires while messages are sent to it, its second lasts.

    Takes over ten seconds, as the first token lasts.
    """
    expires_at = int(time.time()) + 10
    tokens = [served.token(pair.first, exp=expires_at), served.token(pair.first)]
    await page.goto(str(target.page))
    await page.evaluate(
        """async ([url, tokens]) => {
          const { ChatClient } = await import("/protocol.js");
          globalThis.received = [];
          globalThis.states = [];
          const client = new ChatClient({ url, token: () => tokens.shift() });
          client.addEventListener("message", ({ detail }) => received.push(detail.text));
          await new Promise((resolve) => {
            client.addEventListener("state", ({ detail: { name } }) => {
              states.push(name);
              if (name === "connected") resolve();
            });
            client.connect();
          });
        }""",
        [closed.url, tokens],
    )
    sent: list[str] = []
    with device(closed.url, token=served.token(pair.second)) as partner:
        # Until the expiry, when one of them closes the connection.
        while not await page.evaluate("states.includes('waiting')"):
            sent.append(str(len(sent)))
            assert partner.say(pair.chat_id, sent[-1])["type"] == "ack"
            await page.wait_for_timeout(200)
        assert time.time() >= expires_at
        await until(page, "states.filter((name) => name === 'connected').length === 2")
        sent.append("last")
        partner.say(pair.chat_id, "last")
        await until(page, "received.includes('last')")
    received = await page.evaluate("received")
    assert sorted(received) == sorted(sent)
    states = await page.evaluate("states")
    assert states[:4] == ["connecting", "catching-up", "connected", "waiting"]
