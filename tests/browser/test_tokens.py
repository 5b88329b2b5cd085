"""Tokens, as a real browser sends them."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Page

from tests.support.issuer import AUDIENCE, Issuer, issuer
from tests.support.runner import LocalRunner, Target, local_runner
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def served() -> Iterator[Issuer]:
    with issuer() as served:
        yield served


@pytest.fixture(scope="module")
def closed(served: Issuer) -> Iterator[LocalRunner]:
    """A backend that requires tokens."""
    parameters = [f"JwtIssuer={served.url}", f"JwtAudience={AUDIENCE}"]
    with local_runner("--parameter-overrides", *parameters) as runner:
        yield runner


# Opens a socket; returns what was chosen, or that it failed.
OPEN = """([url, protocols]) => new Promise((resolve) => {
  const socket = new WebSocket(url, protocols);
  socket.onopen = () => { resolve(socket.protocol); socket.close(); };
  socket.onerror = () => resolve("failed");
})"""


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
