"""The width of a phone."""

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.side import Side
from tests.support.device import device
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

# The row of chats may be scrolled sideways; nothing else.
CUT_OFF = """() => [...document.querySelectorAll("button, input, textarea, summary, li p")]
  .filter((each) => each.checkVisibility() && !each.closest("nav"))
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5
    || each.getBoundingClientRect().left < -0.5)
  .map((each) => each.outerHTML.slice(0, 80))"""


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def phone(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})


async def fits(page: Page) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    assert await page.evaluate(CUT_OFF) == []


async def test_nothing_is_wider_than_the_page(page: Page, target: Target, pair: Pair) -> None:
    await page.goto(str(target.page))
    await page.get_by_text("Another backend").click()
    await fits(page)
    long = pair.first + "x" * 100
    await page.goto(f"{target.page}?me={long}&with={pair.second}&panes=2")
    here = Side(page, long)
    await here.is_("Connected")
    for text in ("W" * 300, "a word and another"):
        await here.say(text)
    await expect(here.message("WWW")).to_contain_text("Delivered")
    await here.button("New chat").click()
    await here.pane.get_by_label("Whom do you talk to?").fill("carl#" + "d" * 100)
    await here.button("Open").click()
    await here.say("refused")
    await expect(here.message("refused")).to_contain_text("Not allowed")
    await fits(page)


async def test_one_of_two_panes_is_shown_at_a_time(page: Page, target: Target, pair: Pair) -> None:
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}&panes=2")
    here, there = Side(page, pair.first), Side(page, pair.second)
    await here.is_("Connected")
    await expect(there.pane).to_have_count(0)
    await here.say("Hello!")
    switch = page.get_by_role("group", name="Which pane to show")
    other = switch.get_by_role("button", name=there.me)
    await expect(other).to_have_text(f"{there.me}1 new")
    await other.click()
    await expect(there.message("Hello!")).to_be_in_viewport()
    await expect(here.pane).to_have_count(0)
    await expect(other).to_have_text(there.me)
    await expect(other).to_have_attribute("aria-pressed", "true")
    await fits(page)
    await other.focus()
    with device(target.url, userId="carl") as carl:
        carl.say(f"{pair.first}#carl", "It is me.")
    await expect(switch.get_by_role("button", name=here.me)).to_have_text(f"{here.me}1 new")
    await expect(other).to_be_focused()
