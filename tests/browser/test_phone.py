"""The page at the width of a phone."""

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.chat_pane import ChatPane
from tests.support.device import device
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Only the row of chats may be scrolled sideways.
CUT_OFF = """() => [...document.querySelectorAll("button, input, textarea, summary, li p")]
  .filter((each) => each.checkVisibility() && !each.closest("nav"))
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5
    || each.getBoundingClientRect().left < -0.5)
  .map((each) => each.outerHTML.slice(0, 80))"""


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def phone(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})


async def expect_no_overflow(page: Page) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    assert await page.evaluate(CUT_OFF) == []


async def test_no_element_is_wider_than_a_phone(page: Page, target: Target, pair: Pair) -> None:
    await page.goto(str(target.page))
    await page.get_by_text("Another backend").click()
    await expect_no_overflow(page)
    long = pair.first + "x" * 100
    await page.goto(f"{target.page}?me={long}&with={pair.second}&panes=2")
    anna = ChatPane(page, long)
    await anna.expect_state("Connected")
    for text in ("W" * 300, "a word and another"):
        await anna.send(text)
    await expect(anna.message("WWW")).to_contain_text("Delivered")
    await anna.button("What others see").click()
    await anna.button("New chat").click()
    await anna.region.get_by_label("Whom do you talk to?").fill("carl#" + "d" * 100)
    await anna.button("Open").click()
    await anna.send("refused")
    await expect(anna.message("refused")).to_contain_text("Not allowed")
    await expect_no_overflow(page)


async def test_phone_shows_one_of_two_panes_at_a_time(
    page: Page, target: Target, pair: Pair
) -> None:
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}&panes=2")
    anna, bert = ChatPane(page, pair.first), ChatPane(page, pair.second)
    await anna.expect_state("Connected")
    await expect(bert.region).to_have_count(0)
    await anna.send("Hello!")
    switch = page.get_by_role("group", name="Which pane to show")
    other = switch.get_by_role("button", name=bert.user_id)
    await expect(other).to_have_text(f"{bert.user_id}1 new")
    await other.click()
    await expect(bert.message("Hello!")).to_be_in_viewport()
    await expect(anna.region).to_have_count(0)
    await expect(other).to_have_text(bert.user_id)
    await expect(other).to_have_attribute("aria-pressed", "true")
    await expect_no_overflow(page)
    await other.focus()
    with device(target.url, userId="carl") as carl:
        carl.say(f"{pair.first}#carl", "It is me.")
    await expect(switch.get_by_role("button", name=anna.user_id)).to_have_text(
        f"{anna.user_id}1 new"
    )
    await expect(other).to_be_focused()
