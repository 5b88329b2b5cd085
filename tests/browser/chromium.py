"""The Chromium that the system has installed. Playwright downloads none."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

# The first is Chromium without its windows and menus: the tests take 40 % less of the CPU with it.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",  # containers provide none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str:
    """Return the path of Chromium; without one, skip the test, or fail it in CI.

    In CI nobody would notice that tests are skipped.
    """
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    missing = (
        "no Chromium on the PATH: install it, on Debian with"
        " `apt-get install chromium-headless-shell`"
    )
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@asynccontextmanager
async def launch_chromium(*flags: str) -> AsyncIterator[Browser]:
    path = find_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*_FLAGS, *flags])
        try:
            yield browser
        finally:
            await browser.close()
