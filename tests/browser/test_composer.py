"""What is pasted, dropped and typed into the composer, and what is not sent yet."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Dialog, Page, Route, expect

from tests.browser.chat_pane import ChatPane
from tests.browser.network import Network
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Dispatches an event with a file, with a text, or with both. Its type is an alias with parameters.
TRANSFER = """(element, [type, text, fileName]) => {
  const data = new DataTransfer();
  if (text) data.setData("text/plain", text);
  if (fileName) data.items.add(new File(["bytes"], fileName, { type: "image/jpg;x=1" }));
  const init = { bubbles: true, cancelable: true };
  const event = type === "paste" ? new ClipboardEvent(type, { ...init, clipboardData: data })
    : new DragEvent(type, { ...init, dataTransfer: data });
  return !element.dispatchEvent(event);
}"""


async def test_pasted_text_wins_over_its_picture(panes: tuple[ChatPane, ChatPane]) -> None:
    anna, _ = panes
    staged = anna.region.get_by_role("list", name="Files to send")
    # The browser itself inserts a text whose event was not prevented.
    assert not await anna.text_input.evaluate(TRANSFER, ["paste", "text", "picture.png"])
    await expect(staged).to_have_count(0)
    assert await anna.text_input.evaluate(TRANSFER, ["paste", "", "picture.png"])
    await expect(staged).to_contain_text("picture.png")
    await expect(anna.messages).to_have_count(0)


async def test_dropped_files_are_staged_and_dropped_text_goes_into_the_box(
    panes: tuple[ChatPane, ChatPane],
) -> None:
    anna, bert = panes
    hint = anna.region.get_by_text(f"Drop files here to send them to {bert.user_id}")
    await expect(hint).to_be_hidden()
    await anna.message_list.evaluate(TRANSFER, ["dragover", "", "picture.png"])
    await expect(hint).to_be_visible()
    await anna.message_list.evaluate(TRANSFER, ["drop", "", "picture.png"])
    await expect(hint).to_be_hidden()
    await expect(anna.button("Remove picture.png")).to_be_visible()
    await anna.text_input.fill("Before ")
    assert await anna.message_list.evaluate(TRANSFER, ["drop", "dropped", ""])
    await expect(anna.text_input).to_have_value("Before dropped")
    await expect(anna.messages).to_have_count(0)


async def test_enter_on_a_phone_makes_a_line_and_send_keeps_the_keyboard_open(
    browser: Browser, target: Target, pair: Pair
) -> None:
    context = await browser.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    page = await context.new_page()
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    anna = ChatPane(page, pair.first)
    await anna.expect_state("Connected")
    await anna.text_input.tap()
    await page.keyboard.type("one")
    await page.keyboard.press("Enter")
    await page.keyboard.type("two")
    await expect(anna.text_input).to_have_value("one\ntwo")
    await anna.button("Send").tap()
    await expect(anna.messages.get_by_text("one\ntwo", exact=True)).to_be_visible()
    await expect(anna.text_input).to_be_focused()
    await context.close()


async def test_queued_message_can_be_removed(
    network: Network, panes: tuple[ChatPane, ChatPane]
) -> None:
    anna, bert = panes
    network.is_down = True
    await network.break_connections()
    await expect(anna.region.get_by_text("Reconnecting in")).to_be_visible()
    await anna.send("to be removed")
    await anna.send("to be sent")
    await anna.button("Remove: to be removed").click()
    await anna.expect_messages("to be sent")
    await anna.page.reload()
    await anna.expect_messages("to be sent")
    network.is_down = False
    for pane in (anna, bert):
        await pane.expect_messages("to be sent")


async def test_leaving_during_an_upload_asks_first(
    page: Page, target: Target, pair: Pair, tmp_path: Path
) -> None:
    async def never(_route: Route) -> None:
        pass

    path = tmp_path / "a.txt"
    path.write_text("text")
    await page.route(re.compile("X-Amz-Signature"), never)
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    anna = ChatPane(page, pair.first)
    await anna.attach(path)
    await expect(anna.message(path.name)).to_contain_text("Uploading")
    await anna.button("Leave").click()
    dialog = page.get_by_role("dialog", name="Files are not sent yet.")
    await dialog.get_by_role("button", name="Stay").click()
    await expect(dialog).to_have_count(0)
    await expect(anna.message(path.name)).to_contain_text("Uploading")
    asked: list[str] = []

    async def accept(prompt: Dialog) -> None:
        asked.append(prompt.type)
        await prompt.accept()

    page.on("dialog", accept)
    await page.reload()
    assert asked == ["beforeunload"]
    await anna.expect_state("Connected")
    await anna.attach(path)
    await anna.button("Leave").click()
    await dialog.get_by_role("button", name="Leave").click()
    await expect(page.get_by_role("heading", name="Start chatting")).to_be_visible()
