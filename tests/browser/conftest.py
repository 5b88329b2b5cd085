"""The page in a real Chromium, against a real backend on this machine."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.browser.chromium import chromium, launched
from tests.browser.network import Network
from tests.browser.side import Side
from tests.support.runner import NO_LAG, PAGE, Target, local_runner
from tests.support.users import Pair

PATIENCE_MS = 20_000


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    chromium()  # no backend is started where there is no browser
    with local_runner(*NO_LAG, *PAGE) as target:
        yield target


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    async with launched() as browser:
        yield browser


@dataclass
class Complaints:
    """What the browser finds fault with: scripts, the page's policy, what does not load.

    Attributes:
        expected: Parts of those that belong to the test.
    """

    expected: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.heard.append(message.text)

    @property
    def unexpected(self) -> list[str]:
        return [each for each in self.heard if not any(part in each for part in self.expected)]


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    complaints = Complaints()
    yield complaints
    assert complaints.unexpected == []


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, complaints: Complaints) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(
        viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="UTC"
    )
    context.set_default_timeout(PATIENCE_MS)
    context.on("console", complaints.hear)
    context.on("weberror", lambda error: complaints.heard.append(str(error.error)))
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> Page:
    return await context.new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def network(page: Page, target: Target) -> Network:
    network = Network()
    await network.carry(page, target.url)
    return network


@pytest.fixture
def pair() -> Pair:
    return Pair.new("anna", "bert")


@pytest_asyncio.fixture(loop_scope="session")
async def sides(page: Page, target: Target, pair: Pair) -> tuple[Side, Side]:
    """Both sides of a chat, connected, in two panes."""
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}&panes=2")
    here, there = Side(page, pair.first), Side(page, pair.second)
    await here.is_("Connected")
    await there.is_("Connected")
    return here, there
