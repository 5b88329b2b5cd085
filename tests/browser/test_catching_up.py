"""After being offline, a user has every message once and in order."""

from urllib.parse import quote

import boto3
import httpx
import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.chat_pane import ChatPane
from tests.browser.network import Network
from tests.support.device import device
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_pane_catches_up_after_being_offline(panes: tuple[ChatPane, ChatPane]) -> None:
    anna, bert = panes
    await anna.send("before")
    await bert.expect_messages("before")
    await bert.button("Go offline").click()
    await bert.expect_state("Offline")
    for text in ("one", "two", "three"):
        await anna.send(text)
        await expect(anna.message(text)).to_contain_text("Sent")
    await bert.button("Go online").click()
    await bert.expect_messages("before", "one", "two", "three")
    await expect(bert.message("one")).to_contain_text("3 messages while you were away")
    announced = bert.region.get_by_role("status").last
    await expect(announced).to_contain_text("3 messages while you were away")
    await bert.expect_state("Connected")
    # The next catch-up pushes the last 60 seconds again, and the page shows them once.
    await bert.button("Go offline").click()
    await bert.button("Go online").click()
    await bert.expect_state("Connected")
    await bert.expect_messages("before", "one", "two", "three")


async def test_newest_message_is_visible_after_a_catch_up_on_an_open_connection(
    page: Page, network: Network, target: Target, pair: Pair
) -> None:
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    anna = ChatPane(page, pair.first)
    await anna.expect_state("Connected")
    network.drops = lambda frame: frame["type"] == "message"
    with device(target.url, userId=pair.second) as partner:
        for number in range(20):
            partner.say(pair.chat_id, f"missed {number}.")
    while sum(frame["type"] == "message" for frame in network.received) < 20:
        await page.wait_for_timeout(50)
    network.drops = lambda _: False
    await page.evaluate("dispatchEvent(new Event('online'))")  # the client asks what it missed
    await expect(anna.message("missed 0.")).to_contain_text("20 messages while you were away")
    await expect(anna.message("missed 19.")).to_be_in_viewport(ratio=1)


async def test_messages_that_came_while_the_page_was_closed_are_counted(
    page: Page, network: Network, target: Target, pair: Pair
) -> None:
    """Also when the newest page of the history, which shows them, is faster than the catch-up."""
    address = f"{target.page}?me={pair.first}&with={pair.second}"
    await page.goto(address)
    anna = ChatPane(page, pair.first)
    await anna.expect_state("Connected")
    await page.goto("about:blank")
    with device(target.url, userId=pair.second) as partner:
        for text in ("one", "two", "three"):
            partner.say(pair.chat_id, text)
    network.holds = lambda frame: frame["type"] in {"messages", "synced"}
    await page.goto(address)
    await anna.expect_messages("one", "two", "three")
    network.release()
    await expect(anna.message("one")).to_contain_text("3 messages while you were away")
    await anna.expect_messages("one", "two", "three")


async def test_page_reconnects_after_the_backend_closes_the_connection(
    panes: tuple[ChatPane, ChatPane], target: Target
) -> None:
    anna, bert = panes
    tables = boto3.client(
        "dynamodb", "us-east-1", endpoint_url=target.aws_endpoint,
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    rows = tables.scan(TableName="ChatConnections")["Items"]
    (mine,) = (row["connectionId"]["S"] for row in rows if row.get("userId") == {"S": anna.user_id})
    management = target.url.replace("ws://", "http://") + "/@connections/" + quote(mine)
    async with httpx.AsyncClient(headers={"Authorization": "AWS4-HMAC-SHA256"}) as caller:
        assert (await caller.delete(management)).status_code == 204
    await anna.send("still there")
    await expect(anna.message("still there")).to_contain_text("Read")
    await anna.expect_state("Connected")
    await bert.send("so it seems")
    for pane in panes:
        await pane.expect_messages("still there", "so it seems")


async def test_messages_written_while_disconnected_are_sent_in_order_after_reconnecting(
    network: Network, panes: tuple[ChatPane, ChatPane]
) -> None:
    anna, _ = panes
    network.is_down = True
    await network.break_connections()
    await expect(anna.region.get_by_text("Reconnecting in")).to_be_visible()
    await anna.send("first")
    await anna.send("second")
    await expect(anna.message("first")).to_contain_text("Waits for a connection")
    network.is_down = False
    for pane in panes:
        await pane.expect_messages("first", "second")
    for text in ("first", "second"):
        await expect(anna.message(text)).not_to_contain_text("Waits for a connection")


async def test_message_is_stored_once_when_its_ack_is_lost(
    network: Network, panes: tuple[ChatPane, ChatPane]
) -> None:
    anna, bert = panes
    network.drops = lambda frame: frame["type"] == "ack"
    await anna.send("Only one of me")
    await bert.expect_messages("Only one of me")
    await expect(anna.message("Only one of me")).to_contain_text("Sending")
    await network.break_connections()
    network.drops = lambda _: False
    await expect(anna.message("Only one of me")).to_contain_text("Read")
    for pane in panes:
        await pane.expect_state("Connected")
        await pane.expect_messages("Only one of me")
    frames = [frame for frame in network.sent if frame.get("text") == "Only one of me"]
    assert len(frames) > 1
    assert len({frame["clientMessageId"] for frame in frames}) == 1


async def test_reload_keeps_the_outbox_and_loads_the_messages_again(
    network: Network, panes: tuple[ChatPane, ChatPane]
) -> None:
    anna, bert = panes
    await anna.send("mine")
    await expect(anna.message("mine")).to_contain_text("Read")
    await bert.send("theirs")
    await anna.expect_messages("mine", "theirs")
    network.is_down = True
    await network.break_connections()
    await anna.send("not sent yet")
    await anna.page.reload()
    await anna.expect_messages("not sent yet")
    await expect(anna.message("not sent yet")).to_contain_text("Waits for a connection")
    notice = anna.region.get_by_text("Earlier messages are shown once you are connected")
    await expect(notice).to_be_visible()
    network.is_down = False
    for pane in panes:
        await pane.expect_messages("mine", "theirs", "not sent yet")
    await expect(anna.message("mine")).to_contain_text("Read")
    # The overlap of the catch-up pushes known messages again, which are not new.
    await anna.expect_state("Connected")
    await expect(anna.message_list).not_to_contain_text("while you were away")


async def test_two_tabs_of_one_user_show_the_same_messages(
    panes: tuple[ChatPane, ChatPane], context: BrowserContext, target: Target, pair: Pair
) -> None:
    anna, bert = panes
    page = await context.new_page()
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    second_tab = ChatPane(page, pair.first)
    await second_tab.expect_state("Connected")
    await anna.send("from one tab")
    await bert.send("an answer")
    for pane in (anna, bert, second_tab):
        await expect(pane.message("from one tab")).to_be_visible()
        await expect(pane.message("an answer")).to_be_visible()
        await expect(pane.messages).to_have_count(2)
    await expect(second_tab.message("from one tab")).to_contain_text("Read")
