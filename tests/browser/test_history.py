"""The page shows whole conversations: what is stored of them, of both users."""

import time
from collections.abc import Collection
from typing import Any

import boto3
import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.chat_pane import ChatPane
from tests.browser.network import Network
from tests.support.device import device
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

START = "This is the start of the chat"


def store(
    target: Target, senders: list[tuple[str, str]], first_at: int, *, erased: Collection[int] = ()
) -> list[str]:
    """Store a message of each sender to each recipient, a millisecond apart; return the texts.

    Those with a number in `erased` are tombstones.
    """
    tables = boto3.client(
        "dynamodb", "us-east-1", endpoint_url=target.aws_endpoint,
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    texts = [f"message {number}" for number in range(len(senders))]
    items: list[dict[str, Any]] = [
        {
            "chatId": {"S": "#".join(sorted(users))}, "timestamp": {"N": str(first_at + number)},
            "messageId": {"S": f"{first_at}-{number}"}, "senderId": {"S": users[0]},
            "recipientId": {"S": users[1]},
            **({"erased": {"BOOL": True}} if number in erased else {"text": {"S": texts[number]}}),
        }
        for number, users in enumerate(senders)
    ]  # fmt: skip
    for start in range(0, len(items), 25):
        puts: Any = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        tables.batch_write_item(RequestItems={"ChatMessages": puts})
    return texts


def both_sides(pair: Pair, count: int) -> list[tuple[str, str]]:
    """Return the sender and the recipient of each message of a conversation."""
    directions = [(pair.first, pair.second), (pair.second, pair.first)]
    return [directions[number % 3 % 2] for number in range(count)]


def now_ms() -> int:
    return int(time.time() * 1000)


async def open_chat(page: Page, target: Target, pair: Pair) -> ChatPane:
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    pane = ChatPane(page, pair.first)
    await pane.expect_state("Connected")
    return pane


async def texts_of(pane: ChatPane) -> list[str]:
    return await pane.messages.locator(".text").all_inner_texts()


async def scroll_to_start(pane: ChatPane) -> None:
    """Scroll up until the page says that there are no older messages."""
    await expect(pane.messages.first).to_be_attached()
    while not await pane.region.get_by_text(START).count():
        await pane.message_list.evaluate("list => { list.scrollTop = 0; }")
        await pane.page.wait_for_timeout(50)


async def test_new_browser_shows_a_conversation_of_300_messages_by_scrolling(
    page: Page, target: Target, pair: Pair
) -> None:
    texts = store(target, both_sides(pair, 300), now_ms() - 86_400_000)
    anna = await open_chat(page, target, pair)
    await expect(anna.message("message 299")).to_be_in_viewport()
    await expect(anna.messages).to_have_count(50)
    await scroll_to_start(anna)
    assert await texts_of(anna) == texts
    await expect(anna.messages.filter(has_text="You: ")).to_have_count(200)
    await expect(anna.messages.filter(has_text=f"{pair.second}: ")).to_have_count(100)


async def test_erased_message_is_shown_as_erased(page: Page, target: Target, pair: Pair) -> None:
    store(target, both_sides(pair, 2), now_ms() - 60_000, erased={1})
    anna = await open_chat(page, target, pair)
    await anna.expect_messages("message 0", "This message was erased.")
    await expect(anna.messages.locator(".erased")).to_have_text(["This message was erased."])
    chat_list = page.get_by_role("navigation")
    await expect(chat_list).to_contain_text("This message was erased.")


async def test_message_that_is_erased_later_is_shown_as_erased_after_the_next_connection(
    page: Page, target: Target, pair: Pair
) -> None:
    sent_at = now_ms() - 60_000
    store(target, both_sides(pair, 2), sent_at)
    anna = await open_chat(page, target, pair)
    await anna.expect_messages("message 0", "message 1")
    store(target, both_sides(pair, 2), sent_at, erased={1})
    await anna.button("Go offline").click()
    await anna.button("Go online").click()
    await anna.expect_messages("message 0", "This message was erased.")


async def test_two_tabs_agree_after_both_users_wrote(
    page: Page, context: BrowserContext, target: Target, pair: Pair
) -> None:
    texts = store(target, both_sides(pair, 80), now_ms() - 3_600_000)
    tabs = [await open_chat(each, target, pair) for each in (page, await context.new_page())]
    await tabs[0].send("from one tab")
    await tabs[1].send("from the other")
    for tab in tabs:
        await expect(tab.message("from one tab")).to_contain_text("Sent")
        await expect(tab.message("from the other")).to_contain_text("Sent")
    with device(target.url, userId=pair.second) as bert:
        bert.say(pair.chat_id, "an answer")
    for tab in tabs:
        await expect(tab.message("an answer")).to_be_visible()
        await scroll_to_start(tab)
    shown = [await texts_of(tab) for tab in tabs]
    assert shown[0] == shown[1]
    assert shown[0][: len(texts)] == texts
    assert len(shown[0]) == len(texts) + 3


async def test_message_sent_from_another_device_appears(
    page: Page, target: Target, pair: Pair
) -> None:
    anna = await open_chat(page, target, pair)
    with device(target.url, userId=pair.first) as phone:
        phone.say(pair.chat_id, "from my phone")
        await anna.expect_messages("from my phone")
        await anna.button("Go offline").click()
        phone.say(pair.chat_id, "while the page was offline")
    await anna.button("Go online").click()
    await anna.expect_messages("from my phone", "while the page was offline")
    await expect(anna.message("while")).to_contain_text("You: ")
    await expect(anna.message("while")).to_contain_text("Sent")


async def test_what_both_users_wrote_while_the_page_was_offline_appears_without_a_gap(
    page: Page, target: Target, pair: Pair
) -> None:
    anna = await open_chat(page, target, pair)
    await expect(anna.region.get_by_text("No messages yet")).to_be_visible()
    await anna.button("Go offline").click()
    texts = store(target, both_sides(pair, 150), now_ms())
    await anna.button("Go online").click()
    await expect(anna.messages).to_have_count(150)
    assert await texts_of(anna) == texts


async def test_catch_up_of_1300_messages_is_shown_completely(
    page: Page, target: Target, pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also print how long receiving and rendering take, which depends on the machine."""
    # The page's own socket is wrapped before the page runs, so that this listener comes first.
    await page.add_init_script(
        """globalThis.WebSocket = class extends WebSocket {
          constructor(...options) {
            super(...options);
            this.addEventListener("open", () => { globalThis.openedAt = performance.now(); });
            this.addEventListener("message", ({ data }) => {
              if (JSON.parse(data).type === "synced") globalThis.syncedAt = performance.now();
            });
          }
        };"""
    )
    anna = await open_chat(page, target, pair)
    await expect(anna.region.get_by_text("No messages yet")).to_be_visible()
    await anna.button("Go offline").click()
    texts = store(target, [(pair.second, pair.first)] * 1300, now_ms())
    rendered_at = await page.evaluate(
        """() => new Promise((resolve) => {
          new MutationObserver(() => {
            if (document.querySelectorAll("li.message").length < 1300) return;
            requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
          }).observe(document.querySelector(".message-list"), { childList: true, subtree: true });
          document.querySelector(".toggle").click();
        })"""
    )
    await anna.expect_state("Connected")
    await expect(anna.messages).to_have_count(1300)
    assert await texts_of(anna) == texts
    await expect(anna.message("message 1299")).to_be_in_viewport()
    await expect(anna.messages.first).to_contain_text("1300 messages while you were away")
    opened_at, synced_at = await page.evaluate("[openedAt, syncedAt]")
    with capsys.disabled():
        print(
            f"\n1,300 messages: received in {synced_at - opened_at:.0f} ms,"
            f" rendered in {rendered_at - opened_at:.0f} ms"
        )


async def test_page_asks_what_it_missed_5_s_after_connecting_and_then_after_silence(
    page: Page, network: Network, target: Target, pair: Pair
) -> None:
    def catch_ups() -> list[dict[str, Any]]:
        return [frame for frame in network.sent if "since" in frame]

    def synced_count() -> int:
        return sum(frame["type"] == "synced" for frame in network.received)

    await page.clock.install()
    anna = await open_chat(page, target, pair)
    await expect(anna.region.get_by_text("No messages yet")).to_be_visible()
    assert catch_ups() == []
    for count, seconds in enumerate((5, 240, 240), start=1):
        # It is stored and not pushed, as a message whose delivery failed.
        store(target, [(pair.second, pair.first)] * count, now_ms())
        passed = 0
        # In short steps, so that the answer does not seem to be late.
        while len(catch_ups()) < count:
            await page.clock.run_for(1000)
            passed += 1
        # A frame of the second look that arrives meanwhile restarts the interval.
        assert passed <= 2 * seconds
        await expect(anna.message(f"message {count - 1}")).to_have_count(1)
        while synced_count() < 1 + count:
            await page.wait_for_timeout(20)
    receipts = [frame for frame in network.sent if "received" in frame or "read" in frame]
    others = [frame for frame in network.sent if frame not in receipts]
    assert {frame["action"] for frame in others} == {"getmessages"}
    sinces = [frame["since"] for frame in catch_ups()]
    assert sinces == sorted(sinces)
    assert sinces[0] < sinces[-1]
