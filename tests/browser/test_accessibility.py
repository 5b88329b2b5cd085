"""The page in many states, checked by axe-core for the rules of WCAG 2.2, levels A and AA.

`axe-core <https://github.com/dequelabs/axe-core>`_ finds what a program can find: names, roles,
contrasts of texts. What it cannot find is in the tests by role and name, and in test_layout.
"""

from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.chat_pane import ChatPane
from tests.browser.pictures import png
from tests.support.backend import ROOT
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = ROOT / "node_modules/axe-core/axe.min.js"
# Returns the rules that are broken, each with the elements that break it.
AUDIT = """async () => {
  const values = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  const { violations, passes } = await axe.run({ runOnly: { type: "tag", values } });
  if (passes.length < 10) throw new Error(`Only ${passes.length} rules were checked.`);
  return violations.flatMap(
    ({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 120)}`));
}"""
# The sizes of windows; the zooms are those of a window of 1280 by 800 pixels.
SIZES = {
    "desktop": (1280, 800),
    "phone": (375, 740),
    "200 % zoom": (640, 400),
    "400 % zoom": (320, 200),
}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest_asyncio.fixture(loop_scope="session")
async def audited(context: BrowserContext) -> Page:
    """A page with axe-core, and without animations, during which a text has other colours."""
    await context.add_init_script(path=AXE)
    page = await context.new_page()
    await page.emulate_media(reduced_motion="reduce")
    return page


async def violations(page: Page) -> list[str]:
    """Return what is wrong at any size and in any colour scheme."""
    found = []
    for name, (width, height) in SIZES.items():
        await page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            found += [f"{name}, {scheme}: {each}" for each in await page.evaluate(AUDIT)]
    await page.set_viewport_size({"width": 1280, "height": 800})
    return found


async def test_axe_finds_what_is_wrong(audited: Page, target: Target) -> None:
    await audited.goto(str(target.page))
    await audited.evaluate(
        "document.querySelector('main').append(document.createElement('button'))"
    )
    (first, *_) = await violations(audited)
    assert first.startswith("desktop, light: button-name: <button>")


async def test_form_has_no_violation(audited: Page, target: Target) -> None:
    await audited.goto(str(target.page))
    assert await violations(audited) == []
    await audited.get_by_text("Another backend").click()
    await audited.get_by_label("Token").fill("secret")
    await audited.get_by_role("button", name="Start").click()
    await expect(audited.get_by_label("Token")).to_have_attribute("aria-invalid", "true")
    assert await violations(audited) == []


async def test_panes_have_no_violation(
    audited: Page, target: Target, pair: Pair, tmp_path: Path
) -> None:
    """With messages of every status, a link, a picture, staged files, errors and open forms."""
    picture, document = tmp_path / "blue.png", tmp_path / "note.txt"
    picture.write_bytes(png(64, 40))
    document.write_text("text")
    await audited.goto(f"{target.page}?me={pair.first}&with={pair.second}&panes=2")
    anna, bert = ChatPane(audited, pair.first), ChatPane(audited, pair.second)
    await bert.expect_state("Connected")
    await anna.send("See https://example.com/")
    await anna.attach(picture, document)
    await expect(anna.message(document.name)).to_contain_text("Read")
    await bert.send("I see")
    await bert.button("Go offline").click()
    await anna.send("sent only")
    await bert.send("queued")
    await expect(bert.messages.get_by_role("img", name=picture.name)).to_be_visible()
    await anna.stage(document)
    await anna.button("What others see").click()
    await anna.button("New chat").click()
    await anna.region.get_by_label("Whom do you talk to?").fill("a#b#c")
    await anna.button("Open").click()
    await bert.text_input.fill("x" * 5000)
    await bert.text_input.press("Enter")
    await expect(bert.region.get_by_role("alert")).to_contain_text("Too long")
    assert await violations(audited) == []
    await audited.get_by_role("button", name="Close second pane").click()
    await anna.button("Leave").click()
    await expect(audited.get_by_role("dialog")).to_be_visible()
    assert await violations(audited) == []
    await audited.get_by_role("button", name="Stay").click()
    await expect(audited.get_by_role("region")).to_have_count(1)
    assert await violations(audited) == []
    await anna.messages.get_by_role("button", name=f"Open {picture.name}").click()
    await expect(audited.get_by_role("dialog", name=picture.name)).to_be_visible()
    assert await violations(audited) == []
    await audited.get_by_role("button", name="Close", exact=True).click()
    await anna.region.get_by_label("Whom do you talk to?").fill("carl#dora")
    await anna.button("Open").click()
    await anna.send("refused")
    await expect(anna.message("refused")).to_contain_text("Not sent")
    assert await violations(audited) == []
