"""Take the README's picture of the page: ``python -m tests.browser.screenshot``."""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.browser.chat_pane import ChatPane
from tests.browser.chromium import launch_chromium
from tests.support.backend import ROOT
from tests.support.runner import NO_LAG, PAGE, Target, local_runner

DESKTOP = ViewportSize(width=1280, height=960)
PHONE = ViewportSize(width=360, height=740)

# The browser turns it into a PNG that can be sent.
_PICTURE = Path(__file__).with_name("harbour.svg")


async def chat(page: Page, target: Target, picture: Path) -> tuple[ChatPane, ChatPane]:
    """Let two users chat, of whom one is offline for a while."""
    await page.goto(f"{target.page}?me=user123&with=user456&panes=2")
    first, second = ChatPane(page, "user123"), ChatPane(page, "user456")
    for pane in (first, second):
        await pane.expect_state("Connected")

    async def send(pane: ChatPane, text: str, status: str = "Read") -> None:
        await pane.send(text)
        await expect(pane.message(text)).to_contain_text(status)

    await send(first, "Hello! Are you by the harbour already?")
    await send(second, "Nearly. There is a tunnel ahead …")
    await second.button("Go offline").click()
    await send(first, "No hurry, this is the view:", "Sent")
    await first.attach(picture)
    await expect(first.message(picture.name)).to_contain_text("Sent")
    await second.button("Go online").click()
    for pane in (first, second):
        await expect(pane.messages.get_by_role("img", name=picture.name)).to_be_visible()
    await send(second, "Back again, and nothing lost. Lovely!")
    await expect(first.message(picture.name)).to_contain_text("Read")
    await second.text_input.press_sequentially("See you there in ten m", delay=100)
    await expect(first.region.get_by_text("user456 is typing …")).to_be_visible()
    await page.mouse.move(640, 60)
    return first, second


async def draw(browser: Browser, to: Path) -> None:
    page = await browser.new_page(viewport={"width": 640, "height": 400})
    await page.goto(_PICTURE.as_uri())
    await page.screenshot(path=to)
    await page.close()


async def main(*others: Path) -> None:
    """Write docs/page.png; and into other folders pictures of the dark theme and of a phone."""
    with local_runner(*NO_LAG, *PAGE) as target, tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "harbour.png"
        async with launch_chromium() as browser:
            await draw(browser, picture)
            page = await browser.new_page(viewport=DESKTOP, locale="en-GB", reduced_motion="reduce")
            page.set_default_timeout(20_000)
            await chat(page, target, picture)
            await page.screenshot(path=ROOT / "docs/page.png")
            for folder_of_others in others:
                await page.emulate_media(color_scheme="dark")
                await page.screenshot(path=folder_of_others / "page-dark.png")
                await page.set_viewport_size(PHONE)
                await page.screenshot(path=folder_of_others / "page-phone-dark.png")
                await page.emulate_media(color_scheme="light")
                await page.screenshot(path=folder_of_others / "page-phone.png")


if __name__ == "__main__":
    asyncio.run(main(*map(Path, sys.argv[1:])))
