"""Who was away, by choice or by a broken connection, has everything once, in order."""

import re
from urllib.parse import quote

import boto3
import httpx
import pytest
from playwright.async_api import BrowserContext, expect

from tests.browser.network import Network
from tests.browser.side import Side
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_who_was_offline_catches_up(sides: tuple[Side, Side]) -> None:
    here, there = sides
    await here.say("before")
    await there.reads("before")
    await there.button("Go offline").click()
    await there.is_("Offline")
    for text in ("one", "two", "three"):
        await here.say(text)
        await expect(here.message(text)).to_contain_text("Stored, waits for them")
    await there.button("Go online").click()
    await there.reads("before", "one", "two", "three")
    await expect(there.message("one")).to_contain_text("3 messages while you were away")
    announced = there.pane.get_by_role("status").last
    await expect(announced).to_contain_text("3 messages while you were away")
    await there.is_("Connected")
    # Once more: the last 60 seconds are replayed again, and shown no second time.
    await there.button("Go offline").click()
    await there.button("Go online").click()
    await there.is_("Connected")
    await there.reads("before", "one", "two", "three")


async def test_a_connection_that_is_cut_comes_back_by_itself(
    sides: tuple[Side, Side], target: Target
) -> None:
    here, there = sides
    tables = boto3.client(
        "dynamodb", "us-east-1", endpoint_url=target.aws_endpoint,
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    rows = tables.scan(TableName="ChatConnections")["Items"]
    (mine,) = (row["connectionId"]["S"] for row in rows if row.get("userId") == {"S": here.me})
    management = target.url.replace("ws://", "http://") + "/@connections/" + quote(mine)
    async with httpx.AsyncClient() as caller:
        assert (await caller.delete(management)).status_code == 204
    await here.say("still there")
    await expect(here.message("still there")).to_contain_text("Delivered")
    await here.is_("Connected")
    await there.say("so it seems")
    for side in sides:
        await side.reads("still there", "so it seems")


async def test_what_is_typed_without_a_connection_is_sent_once_there_is_one(
    network: Network, sides: tuple[Side, Side]
) -> None:
    here, _ = sides
    network.is_down = True
    await network.cut()
    await expect(here.pane.get_by_text("Reconnecting in")).to_be_visible()
    await here.say("first")
    await here.say("second")
    await expect(here.message("first")).to_contain_text("Waits for a connection")
    network.is_down = False
    for side in sides:
        await side.reads("first", "second")
    for text in ("first", "second"):
        await expect(here.message(text)).not_to_contain_text("Waits for a connection")


async def test_a_message_whose_answer_was_lost_is_one_message(
    network: Network, sides: tuple[Side, Side]
) -> None:
    here, there = sides
    network.is_lost = lambda frame: frame["type"] == "ack"
    await here.say("Only one of me")
    await there.reads("Only one of me")
    await expect(here.message("Only one of me")).to_contain_text("Sending")
    await network.cut()
    network.is_lost = lambda _: False
    # Whether it is delivered depends on who comes back first.
    await expect(here.message("Only one of me")).to_contain_text(re.compile("Stored|Delivered"))
    await expect(here.message("Only one of me")).not_to_contain_text("waits")
    for side in sides:
        await side.is_("Connected")
        await side.reads("Only one of me")
    frames = [frame for frame in network.sent if frame.get("text") == "Only one of me"]
    assert len(frames) > 1
    assert len({frame["clientMessageId"] for frame in frames}) == 1


async def test_a_reload_loses_nothing(network: Network, sides: tuple[Side, Side]) -> None:
    here, there = sides
    await here.say("mine")
    await expect(here.message("mine")).to_contain_text("Delivered")
    await there.say("theirs")
    await here.reads("mine", "theirs")
    network.is_down = True
    await network.cut()
    await here.say("not sent yet")
    await here.page.reload()
    await here.reads("mine", "theirs", "not sent yet")
    await expect(here.message("not sent yet")).to_contain_text("Waits for a connection")
    network.is_down = False
    for side in sides:
        await side.reads("mine", "theirs", "not sent yet")
    await expect(here.message("mine")).to_contain_text("Delivered")
    # What is replayed because it was so shortly before is nothing new.
    await here.is_("Connected")
    await expect(here.log).not_to_contain_text("while you were away")


async def test_two_tabs_of_one_user_show_the_same(
    sides: tuple[Side, Side], context: BrowserContext, target: Target, pair: Pair
) -> None:
    here, there = sides
    page = await context.new_page()
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    elsewhere = Side(page, pair.first)
    await elsewhere.is_("Connected")
    await here.say("from one tab")
    await there.say("an answer")
    for side in (here, there, elsewhere):
        await expect(side.message("from one tab")).to_be_visible()
        await expect(side.message("an answer")).to_be_visible()
        await expect(side.messages).to_have_count(2)
    await expect(elsewhere.message("from one tab")).to_contain_text("Sent elsewhere")
