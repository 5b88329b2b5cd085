"""Two panes talk to each other."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.side import Side
from tests.support.device import device
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_two_panes_chat(sides: tuple[Side, Side]) -> None:
    here, there = sides
    await here.say("Hello!")
    await expect(here.message("Hello!")).to_contain_text("Delivered")
    await expect(there.message("Hello!")).to_be_visible()
    await there.say("Hello yourself!")
    await expect(there.message("Hello yourself!")).to_contain_text("Delivered")
    for side in sides:
        await side.reads("Hello!", "Hello yourself!")
    announced = here.pane.get_by_role("status").last
    await expect(announced).to_contain_text(f"{there.me}: Hello yourself!")


async def test_one_form_opens_both_sides(page: Page, target: Target, pair: Pair) -> None:
    await page.goto(str(target.page))
    await page.get_by_role("textbox", name="You are").fill(pair.first)
    await page.get_by_role("textbox", name="You talk to").fill(pair.second)
    await page.get_by_role("button", name="Open both sides").click()
    for me in (pair.first, pair.second):
        await Side(page, me).is_("Connected")
    await expect(Side(page, pair.first).box).to_be_focused()
    await page.get_by_role("button", name="Close second pane").click()
    await expect(page.get_by_role("region")).to_have_count(1)
    await page.get_by_role("button", name="Second pane").click()
    await Side(page, pair.second).is_("Connected")


async def test_what_nobody_receives_is_said_to_wait(page: Page, target: Target, pair: Pair) -> None:
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    here = Side(page, pair.first)
    await here.say("Are you there?")
    await expect(here.message("Are you there?")).to_contain_text("Stored, waits for them")


async def test_html_in_a_message_is_text(sides: tuple[Side, Side]) -> None:
    here, _ = sides
    text = "<img src=x onerror=alert(1)><b>bold</b> &amp; ${1}"
    await here.say(text)
    for side in sides:
        await expect(side.messages.get_by_text(text, exact=True)).to_be_visible()
        await expect(side.messages.get_by_role("img")).to_have_count(0)


async def test_the_keyboard_is_enough(page: Page, target: Target, pair: Pair) -> None:
    await page.goto(str(target.page))
    await page.keyboard.press("Tab")
    await page.keyboard.type(pair.first)
    await page.keyboard.press("Tab")
    await page.keyboard.type(pair.second)
    await page.keyboard.press("Enter")
    here = Side(page, pair.first)
    await here.is_("Connected")
    await expect(here.box).to_be_focused()
    await page.keyboard.type("one line")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("another")
    await page.keyboard.press("Enter")
    await expect(here.messages.get_by_text("one line\nanother", exact=True)).to_be_visible()
    await expect(here.box).to_have_value("")
    await page.keyboard.press("Tab")
    await expect(here.button("Send")).to_be_focused()
    for name in ("Message", "Send a file"):
        await page.keyboard.press("Shift+Tab")
        await expect(here.pane.get_by_label(name, exact=True)).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await expect(here.log).to_be_focused()
    order = []
    for _ in range(5):
        await page.keyboard.press("Shift+Tab")
        order.append(await page.evaluate("document.activeElement.innerText.trim() || "
                                         "document.activeElement.ariaLabel"))  # fmt: skip
    assert order == ["New chat", pair.second, "Leave", "Go offline", "Second pane"]


async def test_somebody_else_who_writes_gets_a_chat_of_their_own(
    sides: tuple[Side, Side], target: Target
) -> None:
    here, there = sides
    other = f"carl-{here.me}"
    with device(target.url, userId=other) as carl:
        carl.say(f"{here.me}#{other}", "It is me.")
    chip = here.pane.get_by_role("navigation", name="Chats").get_by_role("button", name=other)
    await expect(chip).to_have_text(f"{other}1 new")
    await expect(here.message("It is me.")).to_have_count(0)
    await expect(here.page).to_have_title(re.compile(r"^\(1\)"))
    await here.box.fill("a draft for the first")
    await chip.click()
    await here.reads("It is me.")
    await expect(here.box).to_have_value("")
    await here.pane.get_by_role("navigation").get_by_role("button", name=there.me).click()
    await expect(here.box).to_have_value("a draft for the first")
    await chip.click()
    await expect(chip).to_have_text(other)
    await expect(here.page).not_to_have_title(re.compile(r"^\("))


async def test_a_chat_that_is_new_takes_no_focus_away(
    sides: tuple[Side, Side], target: Target
) -> None:
    here, there = sides
    chip = here.pane.get_by_role("navigation").get_by_role("button", name=there.me)
    await chip.focus()
    other = f"aaron-{here.me}"  # comes before
    with device(target.url, userId=other) as aaron:
        aaron.say(f"{other}#{here.me}", "It is me.")
    await expect(here.pane.get_by_role("button", name=other)).to_be_visible()
    await expect(chip).to_be_focused()


async def test_a_text_too_long_is_said_so_and_kept_to_be_shortened(
    sides: tuple[Side, Side],
) -> None:
    here, _ = sides
    await here.say("€" * 4097)
    await expect(here.pane.get_by_role("alert").filter(has_text="4097")).to_be_visible()
    await here.box.press("Backspace")
    await here.box.press("Enter")
    await expect(here.message("€" * 4096)).to_contain_text("Delivered")
