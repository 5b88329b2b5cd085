"""The layout at several widths, zooms and text sizes; sizes and contrasts of controls."""

import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.chat_pane import ChatPane
from tests.browser.chromium import launch_chromium
from tests.browser.pictures import png
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Only the list of chats may be scrolled sideways.
CUT_OFF = """() => [...document.querySelectorAll("button, input, textarea, .head :is(p, h2), li p")]
  .filter((each) => each.checkVisibility() && !each.closest("nav ul"))
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5
    || each.getBoundingClientRect().left < -0.5)
  .map((each) => each.outerHTML.slice(0, 80))"""
# Pairs of the header's parts that overlap.
OVERLAPS = """() => {
  const parts = [...document.querySelectorAll(".head > *")]
    .filter((each) => each.checkVisibility());
  const boxes = parts.map((each) => each.getBoundingClientRect());
  return boxes.flatMap((a, i) => boxes.slice(i + 1).map((b, j) => [a, b, i, i + 1 + j]))
    .filter(([a, b]) => a.left < b.right - 1 && b.left < a.right - 1
      && a.top < b.bottom - 1 && b.top < a.bottom - 1)
    .map(([, , i, j]) => `${parts[i].className} and ${parts[j].className}`);
}"""
INSIDE = """(input) => input.getBoundingClientRect().bottom
  < input.closest(".card").getBoundingClientRect().bottom"""
SMALL = """() => [...document.querySelectorAll("button, input, textarea, summary, .signals label")]
  .filter((each) => each.checkVisibility() && !each.closest(".signals label > *, [hidden]"))
  .filter((each) => each.type !== "checkbox")
  .filter((each) => each.getBoundingClientRect().height < 43.9
    || each.getBoundingClientRect().width < 43.9)
  .map((each) => each.outerHTML.slice(0, 80))"""
# The controls whose border has less than 3:1 of contrast to the colour around it.
FAINT = """() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (colour) => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((value) => value / 255)
      .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (element) => {
    const colours = [getComputedStyle(element).borderTopColor,
      getComputedStyle(element.closest(".card")).backgroundColor];
    const [dark, light] = colours.map(luminance).sort((one, other) => one - other);
    return (light + 0.05) / (dark + 0.05);
  };
  const bordered = [...document.querySelectorAll(".card :is(button, input, textarea)")]
    .filter((each) => each.checkVisibility() && each.type !== "checkbox")
    .filter((each) => getComputedStyle(each).borderTopWidth !== "0px")
    .filter((each) => getComputedStyle(each).borderTopColor !== "rgba(0, 0, 0, 0)");
  if (bordered.length < 4) throw new Error(`Only ${bordered.length} controls were checked.`);
  return bordered.filter((each) => contrast(each) < 3).map((each) => each.outerHTML.slice(0, 80));
}"""


async def open_pane(page: Page, target: Target, pair: Pair, *, panes: int = 1) -> ChatPane:
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}&panes={panes}")
    anna = ChatPane(page, pair.first)
    await anna.expect_state("Connected")
    return anna


async def expect_usable(anna: ChatPane) -> None:
    """Expect that a message can be written and read, and that nothing is cut off."""
    assert await anna.page.evaluate(CUT_OFF) == []
    assert await anna.page.evaluate(OVERLAPS) == []
    assert await anna.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    await anna.send("Can you read this?")
    message = anna.messages.get_by_text("Can you read this?", exact=True)
    await expect(anna.message("Can you read this?")).to_contain_text(
        re.compile("Sent|Delivered|Read")
    )
    await message.scroll_into_view_if_needed()
    await expect(message).to_be_in_viewport(ratio=0.99)
    await anna.text_input.scroll_into_view_if_needed()
    await expect(anna.text_input).to_be_in_viewport(ratio=0.99)
    assert await anna.text_input.evaluate(INSIDE)
    await expect(anna.page.get_by_role("heading", level=1)).to_have_count(1)


@pytest.mark.parametrize("panes", [1, 2])
@pytest.mark.parametrize(
    ("width", "height"), [(480, 740), (600, 740), (767, 740), (640, 400), (320, 256)]
)
async def test_page_is_usable_at_every_width_and_zoom(
    page: Page, target: Target, pair: Pair, width: int, height: int, panes: int
) -> None:
    """640 by 400 and 320 by 256 pixels are a window of 1280 pixels at 200 and 400 % zoom."""
    await page.set_viewport_size({"width": width, "height": height})
    await expect_usable(await open_pane(page, target, pair, panes=panes))


async def test_page_is_usable_with_text_of_32_pixels(target: Target, pair: Pair) -> None:
    async with launch_chromium("--blink-settings=defaultFontSize=32") as browser:
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        anna = await open_pane(page, target, pair)
        assert await page.evaluate("getComputedStyle(document.body).fontSize") == "32px"
        await expect_usable(anna)


async def test_controls_are_large_enough_for_fingers(
    browser: Browser, target: Target, pair: Pair, tmp_path: Path
) -> None:
    picture = tmp_path / "blue.png"
    picture.write_bytes(png(64, 40))
    context = await browser.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    page = await context.new_page()
    await page.goto(str(target.page))
    await page.get_by_text("Another backend").click()
    assert await page.evaluate(SMALL) == []
    anna = await open_pane(page, target, pair, panes=2)
    await anna.attach(picture)
    await expect(anna.message(picture.name)).to_contain_text("Delivered")
    await anna.button("Go offline").click()
    await anna.text_input.fill("queued")
    await anna.button("Send").click()
    await anna.stage(picture)
    await anna.button("What others see").click()
    await anna.button("New chat").click()
    for name in (f"Download {picture.name}", "Remove: queued", f"Remove {picture.name}"):
        await expect(anna.button(name)).to_be_visible()
    assert await page.evaluate(SMALL) == []
    await anna.button(f"Open {picture.name}").click()
    assert await page.evaluate(SMALL) == []
    await page.get_by_role("button", name="Close", exact=True).click()
    await anna.button("Leave").click()
    await expect(page.get_by_role("button", name="Stay")).to_be_visible()
    assert await page.evaluate(SMALL) == []
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_borders_of_controls_have_a_contrast_of_3(
    page: Page, target: Target, pair: Pair, scheme: Literal["light", "dark"]
) -> None:
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await page.goto(str(target.page))
    await page.get_by_text("Another backend").click()
    assert await page.evaluate(FAINT) == []
    anna = await open_pane(page, target, pair)
    await anna.button("New chat").click()
    assert await page.evaluate(FAINT) == []
