"""How the page shows what it or the backend refuses."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser_errors import BrowserErrors
from tests.browser.chat_pane import ChatPane
from tests.support.issuer import AUDIENCE, issuer, rsa_key
from tests.support.runner import Target, local_runner
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_message_to_a_chat_of_others_is_refused(panes: tuple[ChatPane, ChatPane]) -> None:
    anna, _ = panes
    await anna.button("New chat").click()
    await anna.region.get_by_role("textbox", name="Whom do you talk to?").fill("carl#dora")
    await anna.button("Open").click()
    await expect(anna.message_list.get_by_role("alert")).to_have_text(
        "Not allowed. You are not in this chat: `chatId` must hold your own user id."
    )
    await anna.send("Let me in")
    refused = anna.message("Let me in")
    await expect(refused).to_contain_text("Not sent")
    await expect(refused.get_by_role("alert")).to_have_text(
        "Not allowed. You are not in this chat: `chatId` must hold your own user id."
    )
    await refused.get_by_role("button", name="Try again").click()
    await expect(refused).to_contain_text("Not sent")
    await refused.get_by_role("button", name="Remove").click()
    await expect(anna.messages).to_have_count(0)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("You are", "no spaces", "No such user id"),
        ("You are", "a#b", "No such user id"),
        ("You talk to", "é", "No such user id"),
        ("You talk to", "anna", "A chat is two users"),
        ("You talk to", "anna#anna", "A chat is two users"),
        ("You talk to", "ann#", "No such chat"),
        ("You talk to", "#", "No such chat"),
        ("You talk to", "a#b#c", "No such chat"),
        ("Backend", "https://example.com", "begins with wss://"),
        ("Token", "secret", "not of the form of a JSON Web Token"),
    ],
)
async def test_form_shows_an_error_at_the_field_and_focuses_it(
    page: Page, target: Target, field: str, value: str, words: str
) -> None:
    await page.goto(str(target.page))
    await page.get_by_text("Another backend").click()
    await page.get_by_label("You are").fill("anna")
    invalid = page.get_by_label(field, exact=True)
    await invalid.fill(value)
    await page.get_by_text("Another backend").click()  # the error opens it again
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("alert")).to_contain_text(words)
    await expect(invalid).to_be_focused()
    await expect(invalid).to_have_accessible_description(re.compile(re.escape(words)))
    await expect(invalid).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_role("region")).to_have_count(0)
    await invalid.press("End")
    await invalid.press("x")
    await expect(page.get_by_role("alert")).to_have_count(0)
    await expect(invalid).not_to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("partner", ["ann#", "#", "a#b#c"])
async def test_new_chat_shows_an_error_at_its_field(
    panes: tuple[ChatPane, ChatPane], partner: str
) -> None:
    anna, _ = panes
    await anna.button("New chat").click()
    field = anna.region.get_by_role("textbox", name="Whom do you talk to?")
    await field.fill(partner)
    await anna.button("Open").click()
    await expect(field).to_be_focused()
    await expect(field).to_have_accessible_description(re.compile("two user ids with one #"))
    await anna.button("Cancel").click()
    await anna.button("New chat").click()
    await expect(field).to_have_accessible_description("")


async def test_unreachable_backend_shows_a_notice_and_the_next_attempt(
    page: Page, target: Target, pair: Pair, browser_errors: BrowserErrors
) -> None:
    browser_errors.expected.append("WebSocket connection to 'ws://127.0.0.1:9/prod")
    await page.goto(f"{target.page}?url=ws://127.0.0.1:9/prod&me={pair.first}&with={pair.second}")
    anna = ChatPane(page, pair.first)
    await expect(anna.region.get_by_text("There is no connection")).to_be_visible()
    await expect(anna.region.get_by_text("Reconnecting in")).to_be_visible()
    await expect(page.get_by_text("127.0.0.1:9", exact=True)).to_be_visible()


async def test_token_authenticates_the_user_and_is_neither_shown_nor_stored(
    page: Page, target: Target, pair: Pair, browser_errors: BrowserErrors
) -> None:
    with (
        issuer() as served,
        local_runner(
            "--parameter-overrides",
            f"JwtIssuer={served.url}",
            f"JwtAudience={AUDIENCE}",
            "--allow-origin",
            str(target.page).removesuffix("/"),
        ) as closed,
    ):
        token = served.token(pair.first)
        await page.goto(f"{target.page}?url={closed.url}&with={pair.second}&token={token}")
        anna = ChatPane(page, pair.first)
        await anna.expect_state("Connected")
        await anna.send("By token")
        await expect(anna.message("By token")).to_contain_text("Sent")
        assert token not in page.url
        kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        assert pair.first in kept
        assert "By token" not in kept
        assert token not in kept
        await page.reload()
        await expect(page.get_by_role("alert")).to_contain_text("Paste the token again")
        await expect(page.get_by_label("Token")).to_be_focused()
        # With another user's token, the outbox of this user is not sent as theirs.
        browser_errors.expected.append("WebSocket connection to")
        await page.goto(
            f"{target.page}?url={closed.url}&me={pair.first}&with={pair.second}"
            f"&token={served.token(pair.second)}"
        )
        await expect(anna.region.get_by_text("the token has expired, is somebody")).to_be_visible()
        # It is not tried endlessly, and another can be entered.
        await anna.expect_state("Not connected")
        await expect(anna.button("Go online")).to_be_visible()
        await anna.button("Enter a token").click()
        await expect(page.get_by_label("Token")).to_be_focused()
        await page.get_by_label("Token").fill(token)
        await page.get_by_role("button", name="Start").click()
        await anna.expect_state("Connected")
        await expect(anna.button("Enter a token")).to_have_count(0)


async def test_token_is_removed_from_the_address_bar(page: Page, target: Target) -> None:
    token = rsa_key().sign({"sub": "anna"})
    await page.goto(f"{target.page}?token={token}")
    await expect(page.get_by_label("You are")).to_have_value("anna")
    await expect(page.get_by_label("Token")).to_have_value(token)
    assert page.url == f"{target.page}?token="


async def test_token_fills_in_the_user_id_unless_one_was_typed(page: Page, target: Target) -> None:
    await page.goto(f"{target.page}?me=bert&with=carl&token=")
    await page.get_by_label("Token").fill(rsa_key().sign({"sub": "anna"}))
    await page.get_by_label("Token").blur()
    await expect(page.get_by_label("You are")).to_have_value("anna")
    await page.get_by_label("You are").fill("dora")
    await page.get_by_label("Token").fill(rsa_key().sign({"sub": "bert"}))
    await page.get_by_label("Token").blur()
    await expect(page.get_by_label("You are")).to_have_value("dora")


async def test_browser_without_storage_shows_an_alert(page: Page, target: Target) -> None:
    await page.add_init_script(
        """Object.defineProperty(globalThis, "localStorage", {
          get() { throw new DOMException("Access is denied", "SecurityError"); },
        });"""
    )
    await page.goto(f"{target.page}?me=anna&with=bert")
    await expect(page.get_by_role("alert")).to_contain_text("does not let the page store data")


async def test_expired_token_is_shown_and_not_sent(page: Page, target: Target, pair: Pair) -> None:
    token = rsa_key().sign({"sub": pair.first, "exp": 1})
    await page.goto(f"{target.page}?with={pair.second}&token={token}")
    anna = ChatPane(page, pair.first)
    await expect(anna.region.get_by_text("The token has expired")).to_be_visible()
    await anna.expect_state("Not connected")
