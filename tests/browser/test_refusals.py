"""What the backend or the page does not take, in words."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Complaints
from tests.browser.side import Side
from tests.support.issuer import AUDIENCE, issuer, rsa_key
from tests.support.runner import Target, local_runner
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_chat_of_others_is_refused(sides: tuple[Side, Side]) -> None:
    here, _ = sides
    await here.button("New chat").click()
    await here.pane.get_by_role("textbox", name="Whom do you talk to?").fill("carl#dora")
    await here.button("Open").click()
    await here.say("Let me in")
    refused = here.message("Let me in")
    await expect(refused).to_contain_text("Not sent")
    await expect(refused.get_by_role("alert")).to_have_text(
        "Not allowed. You are not in this chat: `chatId` must hold your own user id."
    )
    await refused.get_by_role("button", name="Try again").click()
    await expect(refused).to_contain_text("Not sent")
    await refused.get_by_role("button", name="Remove").click()
    await expect(here.messages).to_have_count(0)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("You are", "no spaces", "No such user id"),
        ("You are", "a#b", "No such user id"),
        ("You talk to", "é", "No such user id"),
        ("You talk to", "anna", "A chat is two users"),
        ("Backend", "https://example.com", "begins with wss://"),
        ("Token", "secret", "not of the form of a JSON Web Token"),
    ],
)
async def test_what_cannot_be_is_refused_before_connecting(
    page: Page, target: Target, field: str, value: str, words: str
) -> None:
    await page.goto(str(target.page))
    await page.get_by_text("Another backend").click()
    await page.get_by_label("You are").fill("anna")
    await page.get_by_label(field, exact=True).fill(value)
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("alert")).to_contain_text(words)
    await expect(page.get_by_role("region")).to_have_count(0)


async def test_a_backend_out_of_reach_is_said_so(
    page: Page, target: Target, pair: Pair, complaints: Complaints
) -> None:
    complaints.expected.append("WebSocket connection to 'ws://127.0.0.1:9/prod")
    await page.goto(f"{target.page}?url=ws://127.0.0.1:9/prod&me={pair.first}&with={pair.second}")
    here = Side(page, pair.first)
    await expect(here.pane.get_by_text("There is no connection")).to_be_visible()
    await expect(here.pane.get_by_text("Reconnecting in")).to_be_visible()
    await expect(page.get_by_text("127.0.0.1:9", exact=True)).to_be_visible()


async def test_a_token_says_who_you_are_and_is_neither_shown_nor_stored(
    page: Page, target: Target, pair: Pair, complaints: Complaints
) -> None:
    with (
        issuer() as served,
        local_runner(
            "--parameter-overrides", f"JwtIssuer={served.url}", f"JwtAudience={AUDIENCE}"
        ) as closed,
    ):
        token = served.token(pair.first)
        await page.goto(f"{target.page}?url={closed.url}&with={pair.second}&token={token}")
        here = Side(page, pair.first)
        await here.is_("Connected")
        await here.say("By token")
        await expect(here.message("By token")).to_contain_text("Stored")
        assert token not in page.url
        kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        assert "By token" in kept
        assert token not in kept
        await page.reload()
        await expect(page.get_by_role("alert")).to_contain_text("Paste the token again")
        # The token of somebody else does not send as them what is this one's.
        complaints.expected.append("WebSocket connection to")
        await page.goto(
            f"{target.page}?url={closed.url}&me={pair.first}&with={pair.second}"
            f"&token={served.token(pair.second)}"
        )
        await expect(here.pane.get_by_text("the token has expired, is somebody")).to_be_visible()


async def test_a_token_leaves_the_address_bar_before_anything_else(
    page: Page, target: Target
) -> None:
    token = rsa_key().sign({"sub": "anna"})
    await page.goto(f"{target.page}?token={token}")
    await expect(page.get_by_label("You are")).to_have_value("anna")
    await expect(page.get_by_label("Token")).to_have_value(token)
    assert page.url == f"{target.page}?token="


async def test_a_token_says_who_you_are_unless_somebody_typed_it(
    page: Page, target: Target
) -> None:
    await page.goto(f"{target.page}?me=bert&with=carl&token=")
    await page.get_by_label("Token").fill(rsa_key().sign({"sub": "anna"}))
    await page.get_by_label("Token").blur()
    await expect(page.get_by_label("You are")).to_have_value("anna")
    await page.get_by_label("You are").fill("dora")
    await page.get_by_label("Token").fill(rsa_key().sign({"sub": "bert"}))
    await page.get_by_label("Token").blur()
    await expect(page.get_by_label("You are")).to_have_value("dora")


async def test_a_browser_that_keeps_nothing_is_told_of_in_words(page: Page, target: Target) -> None:
    await page.add_init_script(
        """Object.defineProperty(globalThis, "localStorage", {
          get() { throw new DOMException("Access is denied", "SecurityError"); },
        });"""
    )
    await page.goto(f"{target.page}?me=anna&with=bert")
    await expect(page.get_by_role("alert")).to_contain_text("does not let the page store data")


async def test_an_expired_token_is_said_so_and_not_tried(
    page: Page, target: Target, pair: Pair
) -> None:
    token = rsa_key().sign({"sub": pair.first, "exp": 1})
    await page.goto(f"{target.page}?with={pair.second}&token={token}")
    here = Side(page, pair.first)
    await expect(here.pane.get_by_text("The token has expired")).to_be_visible()
    await here.is_("Not connected")
