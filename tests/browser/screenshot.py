"""Take the README's picture of the page: ``python -m tests.browser.screenshot``."""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.browser.chromium import launched
from tests.browser.side import Side
from tests.support.backend import ROOT
from tests.support.runner import NO_LAG, PAGE, Target, local_runner

DESKTOP = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=360, height=740)

# The browser makes a PNG of it, of a size to send.
_PICTURE = Path(__file__).with_name("harbour.svg")


async def talk(page: Page, target: Target, picture: Path) -> tuple[Side, Side]:
    """Have two of them talk, one of whom is away for a while."""
    await page.goto(f"{target.page}?me=user123&with=user456&panes=2")
    here, there = Side(page, "user123"), Side(page, "user456")
    for side in (here, there):
        await side.is_("Connected")

    async def say(side: Side, text: str, status: str = "Delivered") -> None:
        await side.say(text)
        await expect(side.message(text)).to_contain_text(status)

    await say(here, "Hello! Are you by the harbour already?")
    await say(there, "Nearly. There is a tunnel ahead …")
    await there.button("Go offline").click()
    await say(here, "No hurry, this is the view:", "Stored")
    await here.attach(picture)
    await expect(here.message(picture.name)).to_contain_text("Stored")
    await there.button("Go online").click()
    for side in (here, there):
        await expect(side.messages.get_by_role("img", name=picture.name)).to_be_visible()
    await say(there, "Back again, and nothing lost. Lovely!")
    await page.mouse.move(640, 60)
    return here, there


async def draw(browser: Browser, to: Path) -> None:
    page = await browser.new_page(viewport={"width": 640, "height": 400})
    await page.goto(_PICTURE.as_uri())
    await page.screenshot(path=to)
    await page.close()


async def main(*others: Path) -> None:
    """Write docs/page.png; and, to be looked at, the page in the dark and on a phone."""
    with local_runner(*NO_LAG, *PAGE) as target, tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "harbour.png"
        async with launched() as browser:
            await draw(browser, picture)
            page = await browser.new_page(viewport=DESKTOP, locale="en-GB", reduced_motion="reduce")
            page.set_default_timeout(20_000)
            await talk(page, target, picture)
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
