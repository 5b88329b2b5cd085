"""Fixtures: the page in a real Chromium, with the local runner as the backend."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.browser_errors import BrowserErrors
from tests.browser.chat_pane import ChatPane
from tests.browser.chromium import find_chromium, launch_chromium
from tests.browser.network import Network
from tests.support.runner import NO_LAG, PAGE, Target, local_runner
from tests.support.users import Pair

TIMEOUT_MS = 20_000


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    find_chromium()  # without a browser, no backend is started
    with local_runner(*NO_LAG, *PAGE) as target:
        yield target


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=TIMEOUT_MS)
    async with launch_chromium() as browser:
        yield browser


@pytest.fixture
def browser_errors() -> Iterator[BrowserErrors]:
    browser_errors = BrowserErrors()
    yield browser_errors
    assert browser_errors.unexpected == []


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, browser_errors: BrowserErrors) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(
        viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="UTC"
    )
    context.set_default_timeout(TIMEOUT_MS)
    context.on("console", browser_errors.record)
    context.on("weberror", lambda error: browser_errors.recorded.append(str(error.error)))
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> Page:
    return await context.new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def network(page: Page, target: Target) -> Network:
    network = Network()
    await network.intercept(page, target.url)
    return network


@pytest.fixture
def pair() -> Pair:
    return Pair.new("anna", "bert")


@pytest_asyncio.fixture(loop_scope="session")
async def panes(page: Page, target: Target, pair: Pair) -> tuple[ChatPane, ChatPane]:
    """The panes of both users of a chat, connected."""
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}&panes=2")
    anna, bert = ChatPane(page, pair.first), ChatPane(page, pair.second)
    for pane in (anna, bert):
        await pane.expect_state("Connected")
    return anna, bert
