"""A pane of the page, as those find their way about it who do not see it: by roles and names."""

from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Locator, Page, expect


@dataclass(frozen=True)
class Side:
    """One user's side."""

    page: Page
    me: str

    @property
    def pane(self) -> Locator:
        return self.page.get_by_role("region", name=f"{self.me}, talking to")

    @property
    def log(self) -> Locator:
        return self.pane.get_by_role("log")

    @property
    def messages(self) -> Locator:
        return self.log.get_by_role("listitem")

    @property
    def box(self) -> Locator:
        return self.pane.get_by_role("textbox", name="Message", exact=True)

    def button(self, name: str) -> Locator:
        return self.pane.get_by_role("button", name=name, exact=True)

    def message(self, text: str) -> Locator:
        return self.messages.filter(has_text=text)

    async def say(self, text: str) -> None:
        await self.box.fill(text)
        await self.box.press("Enter")

    async def attach(self, *files: Path) -> None:
        async with self.page.expect_file_chooser() as choosing:
            await self.button("Send a file").click()
        await (await choosing.value).set_files(files)

    async def reads(self, *texts: str) -> None:
        """Expect exactly these messages, in this order."""
        await expect(self.messages).to_have_count(len(texts))
        for place, text in enumerate(texts):
            await expect(self.messages.nth(place)).to_contain_text(text)

    async def is_(self, state: str) -> None:
        await expect(self.pane.get_by_text(state, exact=True)).to_be_visible()
