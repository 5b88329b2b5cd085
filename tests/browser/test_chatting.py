"""Two panes of the page chat with each other."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.chat_pane import ChatPane
from tests.support.device import device
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOCUSED = """document.activeElement.querySelector('.name')?.textContent
  || document.activeElement.innerText.trim() || document.activeElement.ariaLabel"""


async def test_two_panes_exchange_messages(panes: tuple[ChatPane, ChatPane]) -> None:
    anna, bert = panes
    await anna.send("Hello!")
    await expect(anna.message("Hello!")).to_contain_text("Read")
    await expect(bert.message("Hello!")).to_be_visible()
    await bert.send("Hello yourself!")
    await expect(bert.message("Hello yourself!")).to_contain_text("Read")
    for pane in panes:
        await pane.expect_messages("Hello!", "Hello yourself!")
    announced = anna.region.get_by_role("status").last
    await expect(announced).to_contain_text(f"{bert.user_id}: Hello yourself!")


async def test_form_opens_the_panes_of_both_users(page: Page, target: Target, pair: Pair) -> None:
    await page.goto(str(target.page))
    await page.get_by_role("textbox", name="You are").fill(pair.first)
    await page.get_by_role("textbox", name="You talk to").fill(pair.second)
    await page.get_by_role("button", name="Open both sides").click()
    for me in (pair.first, pair.second):
        await ChatPane(page, me).expect_state("Connected")
    await expect(ChatPane(page, pair.first).text_input).to_be_focused()
    await page.get_by_role("button", name="Close second pane").click()
    await expect(page.get_by_role("region")).to_have_count(1)
    await page.get_by_role("button", name="Second pane").click()
    await ChatPane(page, pair.second).expect_state("Connected")


async def test_message_to_an_offline_partner_shows_that_it_is_sent(
    page: Page, target: Target, pair: Pair
) -> None:
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    anna = ChatPane(page, pair.first)
    await anna.send("Are you there?")
    await expect(anna.message("Are you there?")).to_contain_text("Sent")


async def test_html_in_a_message_is_shown_as_text(panes: tuple[ChatPane, ChatPane]) -> None:
    anna, _ = panes
    text = "<img src=x onerror=alert(1)><b>bold</b> &amp; ${1}"
    await anna.send(text)
    for pane in panes:
        await expect(pane.messages.get_by_text(text, exact=True)).to_be_visible()
        await expect(pane.messages.get_by_role("img")).to_have_count(0)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("See https://example.com/a?b=1&c=(2).", "https://example.com/a?b=1&c=(2)"),
        ("(http://example.com/x)", "http://example.com/x"),
        ("\u201chttps://example.com\u201d!", "https://example.com"),
    ],
)
async def test_url_in_a_message_is_a_link(
    panes: tuple[ChatPane, ChatPane], text: str, url: str
) -> None:
    anna, bert = panes
    await anna.send(text)
    for pane in (anna, bert):
        link = pane.messages.get_by_role("link")
        await expect(link).to_have_text(url)
        await expect(link).to_have_attribute("rel", "noopener noreferrer")
        await expect(pane.messages.get_by_text(text, exact=True)).to_be_visible()


@pytest.mark.parametrize("text", ["javascript:alert(1)", "https://", "data:text/html,x"])
async def test_other_texts_are_no_links(panes: tuple[ChatPane, ChatPane], text: str) -> None:
    anna, _ = panes
    await anna.send(text)
    await expect(anna.messages).to_contain_text(text)
    await expect(anna.messages.get_by_role("link")).to_have_count(0)


async def test_page_can_be_used_with_the_keyboard_alone(
    page: Page, target: Target, pair: Pair
) -> None:
    await page.goto(str(target.page))
    await page.keyboard.press("Tab")
    await page.keyboard.type(pair.first)
    await page.keyboard.press("Tab")
    await page.keyboard.type(pair.second)
    await page.keyboard.press("Enter")
    anna = ChatPane(page, pair.first)
    await anna.expect_state("Connected")
    await expect(anna.text_input).to_be_focused()
    await page.keyboard.type("one line")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("another")
    await page.keyboard.press("Enter")
    await expect(anna.messages.get_by_text("one line\nanother", exact=True)).to_be_visible()
    await expect(anna.text_input).to_have_value("")
    await page.keyboard.press("Tab")
    await expect(anna.button("Send")).to_be_focused()
    for name in ("Message", "Add a file"):
        await page.keyboard.press("Shift+Tab")
        await expect(anna.region.get_by_label(name, exact=True)).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await expect(anna.message_list).to_be_focused()
    order = []
    for _ in range(6):
        await page.keyboard.press("Shift+Tab")
        order.append(await page.evaluate(FOCUSED))
    assert order == [
        pair.second, "New chat", "Leave", "What others see", "Go offline", "Second pane",
    ]  # fmt: skip


async def test_message_from_another_user_appears_in_a_separate_chat(
    panes: tuple[ChatPane, ChatPane], target: Target
) -> None:
    anna, bert = panes
    other = f"carl-{anna.user_id}"
    with device(target.url, userId=other) as carl:
        carl.say(f"{anna.user_id}#{other}", "It is me.")
    chip = anna.region.get_by_role("navigation", name="Chats").get_by_role("button", name=other)
    await expect(chip).to_contain_text("It is me.")
    await expect(chip).to_contain_text("1 new")
    await expect(anna.message("It is me.")).to_have_count(0)
    await expect(anna.page).to_have_title(re.compile(r"^\(1\)"))
    await anna.text_input.fill("a draft for the first")
    await chip.click()
    await anna.expect_messages("It is me.")
    await expect(anna.text_input).to_have_value("")
    await anna.region.get_by_role("navigation").get_by_role("button", name=bert.user_id).click()
    await expect(anna.text_input).to_have_value("a draft for the first")
    await chip.click()
    await expect(chip).not_to_contain_text("new")
    await expect(anna.page).not_to_have_title(re.compile(r"^\("))


async def test_new_chat_does_not_take_the_focus(
    panes: tuple[ChatPane, ChatPane], target: Target
) -> None:
    anna, bert = panes
    chip = anna.region.get_by_role("navigation").get_by_role("button", name=bert.user_id)
    await chip.focus()
    other = f"aaron-{anna.user_id}"  # comes before
    with device(target.url, userId=other) as aaron:
        aaron.say(f"{other}#{anna.user_id}", "It is me.")
    await expect(anna.region.get_by_role("button", name=other)).to_be_visible()
    await expect(chip).to_be_focused()


async def test_text_that_is_too_long_shows_an_alert_and_stays_in_the_input(
    panes: tuple[ChatPane, ChatPane],
) -> None:
    anna, _ = panes
    await anna.send("€" * 4097)
    await expect(anna.region.get_by_role("alert").filter(has_text="4097")).to_be_visible()
    await anna.text_input.press("Backspace")
    await anna.text_input.press("Enter")
    await expect(anna.message("€" * 4096)).to_contain_text("Read")
