"""The page forgets what it remembers of a database that does not exist any more."""

import socket

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser_errors import BrowserErrors
from tests.browser.chat_pane import ChatPane
from tests.support.runner import NO_LAG, PAGE, LocalRunner, local_runner
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEW = "The backend has a new, empty database."


@pytest.fixture
def port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


async def chat(page: Page, run: LocalRunner, pair: Pair, text: str) -> ChatPane:
    await page.goto(f"{run.page}?me={pair.first}&with={pair.second}")
    anna = ChatPane(page, pair.first)
    await anna.expect_state("Connected")
    await anna.send(text)
    await expect(anna.message(text)).to_contain_text("Sent")
    return anna


async def test_page_says_that_the_database_is_new_and_forgets_the_old_one(
    page: Page, pair: Pair, port: str, browser_errors: BrowserErrors
) -> None:
    """Takes over ten seconds: a runner starts twice, and the page connects again."""
    browser_errors.expected.append("ERR_CONNECTION_REFUSED")
    carl = Pair(pair.first, f"{pair.second}-carl")
    with local_runner(*NO_LAG, *PAGE, "--port", port) as run:
        await chat(page, run, carl, "To Carl")
        anna = await chat(page, run, pair, "Before")
        await expect(anna.region.get_by_text(carl.second)).not_to_have_count(0)
        await expect(page.get_by_text(NEW)).to_be_hidden()
        await page.reload()
        await expect(anna.message("Before")).to_be_visible()
        await expect(page.get_by_text(NEW)).to_be_hidden()
    await expect(anna.region.get_by_text("Connected", exact=True)).to_be_hidden()
    with local_runner(*NO_LAG, *PAGE, "--port", port):
        # The open page connects again, and finds another database.
        await expect(page.get_by_text(NEW)).to_be_visible()
        await anna.expect_state("Connected")
        await expect(anna.message("Before")).to_have_count(0)
        await expect(anna.region.get_by_text(carl.second)).to_have_count(0)
        await page.reload()
        await anna.expect_state("Connected")
        await expect(page.get_by_text(NEW)).to_be_hidden()
