"""A pane of the page, found by roles and names, as a screen reader finds it."""

from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Locator, Page, expect


@dataclass(frozen=True)
class ChatPane:
    """The pane of one user."""

    page: Page
    user_id: str

    @property
    def region(self) -> Locator:
        return self.page.get_by_role("region", name=f"{self.user_id}, talking to")

    @property
    def message_list(self) -> Locator:
        return self.region.get_by_role("log")

    @property
    def messages(self) -> Locator:
        return self.message_list.get_by_role("listitem")

    @property
    def text_input(self) -> Locator:
        return self.region.get_by_role("textbox", name="Message", exact=True)

    def button(self, name: str) -> Locator:
        return self.region.get_by_role("button", name=name, exact=True)

    def message(self, text: str) -> Locator:
        return self.messages.filter(has_text=text)

    async def send(self, text: str) -> None:
        await self.text_input.fill(text)
        await self.text_input.press("Enter")

    async def stage(self, *files: Path) -> None:
        async with self.page.expect_file_chooser() as choosing:
            await self.button("Add a file").click()
        await (await choosing.value).set_files(files)

    async def attach(self, *files: Path) -> None:
        await self.stage(*files)
        await self.button("Send").click()

    async def expect_messages(self, *texts: str) -> None:
        """Expect exactly these messages, in this order."""
        await expect(self.messages).to_have_count(len(texts))
        for place, text in enumerate(texts):
            await expect(self.messages.nth(place)).to_contain_text(text)

    async def expect_state(self, state: str) -> None:
        await expect(self.region.get_by_text(state, exact=True)).to_be_visible()
