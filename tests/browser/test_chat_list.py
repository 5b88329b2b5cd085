"""The list of chats: order, last messages, unread counts, drafts, and the address."""

import re
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.browser.chat_pane import ChatPane
from tests.browser.network import Network
from tests.support.device import device
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


STORED = "JSON.stringify(localStorage)"


def chats(pane: ChatPane) -> Locator:
    return pane.region.get_by_role("navigation", name=f"Chats of {pane.user_id}")


def chip(pane: ChatPane, partner: str) -> Locator:
    return chats(pane).get_by_role("listitem").get_by_role("button", name=partner)


def say(target: Target, sender: str, pair: Pair, *texts: str) -> None:
    with device(target.url, userId=sender) as other:
        for text in texts:
            other.say("#".join(sorted((sender, pair.first))), text)


async def open_pane(page: Page, target: Target, pair: Pair) -> ChatPane:
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    anna = ChatPane(page, pair.first)
    await anna.expect_state("Connected")
    return anna


async def test_chats_are_listed_by_recency_with_last_message_and_time(
    page: Page, target: Target, pair: Pair
) -> None:
    anna = await open_pane(page, target, pair)
    carl, dora = f"carl-{pair.first}", f"dora-{pair.first}"
    say(target, carl, pair, "From Carl")
    await expect(chip(anna, carl)).to_contain_text("From Carl")
    say(target, dora, pair, "From Dora")
    items = chats(anna).get_by_role("listitem")
    await expect(items.nth(0)).to_contain_text("From Dora")
    await expect(items.nth(1)).to_contain_text("From Carl")
    await anna.send("From me")
    await expect(items.nth(0)).to_contain_text("You: From me")
    await expect(items.nth(0)).to_contain_text(re.compile(r"\d\d:\d\d"))
    await page.reload()
    for place, text in enumerate(("You: From me", "From Dora", "From Carl")):
        await expect(items.nth(place)).to_contain_text(text)


async def test_unread_count_survives_a_reload_and_is_the_same_in_every_tab(
    page: Page, network: Network, context: BrowserContext, target: Target, pair: Pair
) -> None:
    anna = await open_pane(page, target, pair)
    carl, dora = f"carl-{pair.first}", f"dora-{pair.first}"
    say(target, carl, pair, "one", "two", "three")
    say(target, dora, pair, *map(str, range(25)))
    second_tab = await open_pane(await context.new_page(), target, pair)
    for _ in range(2):
        for pane in (anna, second_tab):
            await expect(chip(pane, carl)).to_contain_text("3 new")
            await expect(chip(pane, dora)).to_contain_text("20+ new")
        # The count does not depend on the overlap of the catch-up, which is of the last minute.
        network.drops = lambda frame: frame["type"] == "messages"
        await page.reload()
        await anna.expect_state("Connected")
    await anna.button("What others see").click()
    await anna.region.get_by_role("switch", name="what you have read").uncheck()
    await chip(second_tab, carl).click()
    for pane in (anna, second_tab):
        await expect(chip(pane, carl)).not_to_contain_text("new")
        await expect(chip(pane, dora)).to_contain_text("20+ new")


async def test_current_chat_stays_visible_in_a_long_list(
    page: Page, target: Target, pair: Pair
) -> None:
    anna = await open_pane(page, target, pair)
    await anna.send("the oldest")
    await expect(anna.message("the oldest")).to_contain_text("Sent")
    for number in range(12):
        say(target, f"user{number}-{pair.first}", pair, "newer")
    await expect(chats(anna).get_by_role("listitem")).to_have_count(13)
    await expect(chats(anna).get_by_role("listitem").last).to_contain_text("the oldest")
    await expect(chip(anna, pair.second)).to_be_in_viewport(ratio=0.99)
    await chip(anna, "user11-").click()
    await chats(anna).get_by_role("list").evaluate("list => { list.scrollLeft = 10_000; }")
    await expect(chip(anna, pair.second)).to_be_in_viewport()
    await expect(chip(anna, "user11-")).to_be_in_viewport(ratio=0.99)


async def test_address_follows_the_chat_and_back_returns(
    page: Page, target: Target, pair: Pair
) -> None:
    anna = await open_pane(page, target, pair)
    carl = f"carl-{pair.first}"
    await anna.button("New chat").click()
    await anna.region.get_by_label("Whom do you talk to?").fill(carl)
    await anna.button("Open").click()
    await expect(anna.region.get_by_role("heading", name=carl)).to_be_visible()
    assert page.url.endswith(f"with={carl}")
    await page.go_back()
    await expect(anna.region.get_by_role("heading", name=pair.second)).to_be_visible()
    assert page.url.endswith(f"with={pair.second}")
    await page.go_forward()
    await expect(anna.region.get_by_role("heading", name=carl)).to_be_visible()
    await page.reload()
    await expect(anna.region.get_by_role("heading", name=carl)).to_be_visible()


async def test_second_pane_keeps_its_user_when_the_first_pane_opens_another_chat(
    panes: tuple[ChatPane, ChatPane],
) -> None:
    anna, bert = panes
    carl = f"carl-{anna.user_id}"
    await anna.button("New chat").click()
    await anna.region.get_by_label("Whom do you talk to?").fill(carl)
    await anna.button("Open").click()
    await anna.page.reload()
    for pane, partner in ((anna, carl), (bert, anna.user_id)):
        await expect(pane.region.get_by_role("heading", name=partner)).to_be_visible()
    await anna.page.go_back()
    await expect(anna.region.get_by_role("heading", name=bert.user_id)).to_be_visible()
    names = [
        await nav.get_attribute("aria-label")
        for nav in await anna.page.get_by_role("navigation").all()
    ]
    assert names == [f"Chats of {anna.user_id}", f"Chats of {bert.user_id}"]


async def test_draft_is_kept_over_a_reload_until_it_is_sent(
    page: Page, target: Target, pair: Pair
) -> None:
    anna = await open_pane(page, target, pair)
    await anna.text_input.fill("half a sentence")
    await page.reload()
    await expect(anna.text_input).to_have_value("half a sentence")
    await anna.text_input.press("Enter")
    await expect(anna.message("half a sentence")).to_contain_text("Sent")
    await page.reload()
    await anna.expect_state("Connected")
    await expect(anna.text_input).to_have_value("")


async def test_browser_forgets_drafts_and_chats_when_it_is_asked_to(
    page: Page, target: Target, pair: Pair
) -> None:
    anna = await open_pane(page, target, pair)
    await anna.text_input.fill("a secret draft")
    assert "a secret draft" in await page.evaluate(STORED)
    await anna.button("Leave").click()
    await page.get_by_text("Another backend").click()
    await page.get_by_role("button", name="Forget it all").click()
    await expect(page.get_by_role("alert")).to_have_text("What this browser kept is forgotten.")
    for word in ("draft", pair.second):
        assert word not in await page.evaluate(STORED)


async def test_long_names_have_tooltips(
    page: Page, target: Target, pair: Pair, tmp_path: Path
) -> None:
    long = Pair(pair.first, pair.second + "x" * 100)
    path = tmp_path / f"{'x' * 100}.txt"
    path.write_text("text")
    anna = await open_pane(page, target, long)
    for named in (anna.region.get_by_role("heading"), chip(anna, long.second)):
        await expect(named).to_have_attribute("title", long.second)
    await anna.stage(path)
    await expect(anna.region.get_by_title(path.name, exact=True)).to_be_visible()
    await anna.button("Send").click()
    await expect(anna.messages.get_by_title(path.name, exact=True)).to_be_visible()
    await page.get_by_role("button", name="Second pane").click()
    await page.set_viewport_size({"width": 360, "height": 740})
    switch = page.get_by_role("group", name="Which pane to show")
    await expect(switch.get_by_title(long.second, exact=True)).to_be_visible()
