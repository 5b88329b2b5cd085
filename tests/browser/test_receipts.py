"""The page shows what was delivered and read, and who is typing."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.chat_pane import ChatPane
from tests.browser.network import Network
from tests.support.device import Device, device
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEXTS = ("one", "two", "three")
# In a test, each page seems to be visible and to have the focus.
HIDE = """() => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
SHOW = """() => {
  delete document.hidden;
  document.dispatchEvent(new Event("visibilitychange"));
}"""
# Longer than the page waits for further messages before it sends `read`.
READ_DELAY_MS = 1_000
TIMEOUT_S = 20
TITLE = "Serverless chat"


async def open_pane(page: Page, target: Target, me: str, partner: str) -> ChatPane:
    await page.goto(f"{target.page}?me={me}&with={partner}")
    pane = ChatPane(page, me)
    await pane.expect_state("Connected")
    return pane


@pytest_asyncio.fixture(loop_scope="session")
async def anna(context: BrowserContext, target: Target, pair: Pair) -> ChatPane:
    return await open_pane(await context.new_page(), target, pair.first, pair.second)


@pytest_asyncio.fixture(loop_scope="session")
async def bert(
    page: Page,
    network: Network,  # noqa: ARG001 (it intercepts what this page opens)
    target: Target,
    pair: Pair,
) -> ChatPane:
    """The partner, on another page, whose frames `network` records."""
    return await open_pane(page, target, pair.second, pair.first)


def signals(network: Network, kind: str) -> list[dict[str, Any]]:
    """Return the signals of a kind that the page sent."""
    return [frame for frame in network.sent if kind in frame]


def typing_line(pane: ChatPane, partner: str) -> Locator:
    return pane.region.get_by_role("status").get_by_text(f"{partner} is typing …")


async def expect_status(pane: ChatPane, status: str, *texts: str) -> None:
    for text in texts:
        await expect(pane.message(text).locator(".status")).to_have_text(status)


async def scroll(pane: ChatPane, *, to_end: bool) -> None:
    await pane.message_list.evaluate(
        "(list, toEnd) => { list.scrollTop = toEnd ? list.scrollHeight : 0; }", to_end
    )


def fill(chat_id: str, device: Device) -> None:
    """Send enough messages for the list to scroll."""
    for number in range(20):
        device.say(chat_id, f"before {number}")


async def test_ticks_change_when_the_partner_comes_back_and_when_they_read(
    anna: ChatPane, bert: ChatPane, target: Target, pair: Pair
) -> None:
    with device(target.url, userId=pair.first) as phone:
        fill(pair.chat_id, phone)
    await expect(bert.message("before 19")).to_be_in_viewport()
    await scroll(bert, to_end=False)
    await bert.button("Go offline").click()
    await bert.expect_state("Offline")
    for text in TEXTS:
        await anna.send(text)
    await expect_status(anna, "Sent", *TEXTS)
    await bert.button("Go online").click()
    await expect_status(anna, "Delivered", *TEXTS)
    await expect(bert.message("three")).not_to_be_in_viewport()
    await scroll(bert, to_end=True)
    await expect_status(anna, "Read", *TEXTS)
    await anna.page.reload()
    await anna.expect_state("Connected")
    await expect_status(anna, "Read", *TEXTS)


async def test_catch_up_is_received_once_and_a_burst_is_read_once(
    anna: ChatPane, bert: ChatPane, network: Network
) -> None:
    await bert.button("Go offline").click()
    await bert.expect_state("Offline")
    for text in TEXTS:
        await anna.send(text)
    await expect_status(anna, "Sent", *TEXTS)
    await bert.button("Go online").click()
    await expect_status(anna, "Read", *TEXTS)
    assert [frame["received"] for frame in signals(network, "received")] == [
        frame["read"] for frame in signals(network, "read")
    ]
    assert len(signals(network, "read")) == 1
    await anna.send("pushed")
    await expect_status(anna, "Read", "pushed")
    assert len(signals(network, "received")) == 1  # a push is delivered already
    assert len(signals(network, "read")) == 2


async def test_ticks_agree_on_two_devices_of_each_user(
    anna: ChatPane, bert: ChatPane, browser: Browser, target: Target, pair: Pair
) -> None:
    other_browser = await browser.new_context()
    annas_laptop = await open_pane(await other_browser.new_page(), target, pair.first, pair.second)
    berts_laptop = await open_pane(await other_browser.new_page(), target, pair.second, pair.first)
    for pane in (bert, berts_laptop):
        await pane.page.evaluate(HIDE)
    await anna.send("to both")
    await expect_status(anna, "Delivered", "to both")
    for pane in (bert, berts_laptop):
        await expect(pane.page).to_have_title(f"(1) {TITLE}")
    await berts_laptop.page.evaluate(SHOW)
    for pane in (anna, annas_laptop):
        await expect_status(pane, "Read", "to both")
    # What is read on one device is not new on the other.
    await expect(bert.page).to_have_title(TITLE)
    await bert.page.evaluate(SHOW)
    await annas_laptop.send("from the laptop")
    for pane in (anna, annas_laptop):
        await expect_status(pane, "Read", "from the laptop")
    await other_browser.close()


async def test_hidden_page_sends_no_read_until_it_is_visible(
    anna: ChatPane, bert: ChatPane, network: Network
) -> None:
    await bert.page.evaluate(HIDE)
    await anna.send("Hello!")
    await expect(bert.message("Hello!")).to_be_visible()
    await bert.page.wait_for_timeout(READ_DELAY_MS)
    assert signals(network, "read") == []
    await expect_status(anna, "Delivered", "Hello!")
    await bert.page.evaluate(SHOW)
    await expect_status(anna, "Read", "Hello!")


async def test_window_without_the_focus_sends_no_read(
    anna: ChatPane, bert: ChatPane, network: Network
) -> None:
    await bert.page.evaluate("document.hasFocus = () => false")
    await anna.send("Hello!")
    await expect(bert.message("Hello!")).to_be_visible()
    await bert.page.wait_for_timeout(READ_DELAY_MS)
    assert signals(network, "read") == []
    await bert.page.evaluate(
        "() => { delete document.hasFocus; dispatchEvent(new Event('focus')); }"
    )
    await expect_status(anna, "Read", "Hello!")


async def test_delivered_message_is_still_delivered_after_a_reload(
    anna: ChatPane, bert: ChatPane
) -> None:
    await bert.page.evaluate(HIDE)
    await anna.send("Hello!")
    await expect_status(anna, "Delivered", "Hello!")
    await anna.page.reload()
    await expect_status(anna, "Delivered", "Hello!")


async def test_receipt_that_was_missed_while_offline_is_shown_after_reconnecting(
    anna: ChatPane, bert: ChatPane, network: Network
) -> None:
    await bert.page.evaluate(HIDE)
    await anna.send("Hello!")
    await expect_status(anna, "Delivered", "Hello!")
    await anna.button("Go offline").click()
    await anna.expect_state("Offline")
    async with asyncio.timeout(TIMEOUT_S):
        await bert.page.evaluate(SHOW)
        while not any("read" in frame for frame in network.received):
            await bert.page.wait_for_timeout(50)
    await anna.button("Go online").click()
    await expect_status(anna, "Read", "Hello!")


async def test_typing_appears_and_expires_after_ten_seconds(
    anna: ChatPane, bert: ChatPane, network: Network, pair: Pair
) -> None:
    await anna.page.clock.install()
    await anna.page.reload()
    await anna.send("Are you there?")
    await expect_status(anna, "Read", "Are you there?")
    await bert.text_input.press_sequentially("Yes, I")
    typing = typing_line(anna, pair.second)
    await expect(typing).to_be_visible()
    assert len(signals(network, "typing")) == 1
    await anna.page.clock.fast_forward(9_000)
    await expect(typing).to_be_visible()
    await anna.page.clock.fast_forward(1_500)
    await expect(typing).to_be_hidden()


async def test_typing_ends_with_the_message(anna: ChatPane, bert: ChatPane, pair: Pair) -> None:
    await anna.send("Are you there?")
    await expect(bert.message("Are you there?")).to_be_visible()
    await bert.text_input.press_sequentially("Yes")
    await expect(typing_line(anna, pair.second)).to_be_visible()
    await bert.text_input.press("Enter")
    await expect(anna.message("Yes")).to_be_visible()
    await expect(typing_line(anna, pair.second)).to_be_hidden()


@pytest.mark.parametrize(
    ("switch", "signal"),
    [
        ("what reached you", "received"),
        ("what you have read", "read"),
        ("that you are typing", "typing"),
    ],
)
async def test_signal_that_is_turned_off_is_not_sent(
    anna: ChatPane, bert: ChatPane, network: Network, switch: str, signal: str
) -> None:
    await bert.button("What others see").click()
    await bert.region.get_by_role("switch", name=switch).uncheck()
    await bert.page.reload()  # the browser keeps it
    await bert.expect_state("Connected")
    await bert.button("Go offline").click()
    await bert.expect_state("Offline")
    await anna.send("Hello!")
    await expect_status(anna, "Sent", "Hello!")
    await bert.button("Go online").click()
    await expect(bert.message("Hello!")).to_be_visible()
    await bert.expect_state("Connected")
    await bert.text_input.press_sequentially("Yes")
    await bert.page.wait_for_timeout(READ_DELAY_MS)
    kinds = {"received", "read", "typing"}
    sent = {kind for kind in kinds if signals(network, kind)}
    assert sent == kinds - {signal}
    await expect_status(anna, "Delivered" if signal == "read" else "Read", "Hello!")
