"""A page of another site, in the developer's own browser, gets nothing from the local runner."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page

from tests.browser.browser_errors import BrowserErrors
from tests.browser.chromium import launch_chromium
from tests.support.device import device
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Each returns what the page learns: `null` for nothing.
OPEN_WEBSOCKET = """url => new Promise(resolve => {
    const socket = new WebSocket(url);
    socket.onmessage = event => resolve(event.data);
    socket.onclose = () => resolve(null);
})"""
FETCH = """async ([url, options]) => {
    try {
        const answer = await fetch(url, options);
        return answer.type === "opaque" ? null : `${answer.status} ${await answer.text()}`;
    } catch {
        return null;
    }
}"""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def other_site(tmp_path: Path) -> Iterator[str]:
    """The URL of an empty page, at another port than the runner's."""
    (tmp_path / "index.html").write_text("<!doctype html><title>Another site</title>")
    handler = partial(QuietHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@asynccontextmanager
async def chat_with_a_message(target: Target, pair: Pair) -> AsyncIterator[str]:
    """Connect the first user, who has written to the second; yield its connection id.

    Afterwards expect that the message is the only one, and that nothing was pushed.
    """
    with device(target.url, userId=pair.first) as victim:
        victim.say(pair.chat_id, "secret")
        yield victim.ask({"action": "dance"})["connectionId"]
        history = victim.ask({"action": "getmessages", "chatId": pair.chat_id})
        assert [message["text"] for message in history["messages"]] == ["secret"]


def requests_to_the_runner(pair: Pair, connection_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the paths of requests that would do harm, and the options of `fetch`."""
    frame = {"action": "sendmessage", "chatId": pair.chat_id, "text": "forged"}
    event = {
        "requestContext": {
            "routeKey": "sendmessage",
            "eventType": "MESSAGE",
            "messageId": "BFaVtfGSIAMCKug=",
            "requestTimeEpoch": 1764000000123,
            "connectedAt": 1764000000123,
            "connectionId": connection_id,
            "authorizer": {"principalId": pair.second},
        },
        "body": json.dumps(frame),
        "isBase64Encoded": False,
    }
    return [
        (path, {"method": method, "body": body, "mode": mode, "headers": headers})
        for path, method, body in (
            ("/2015-03-31/functions/3-send-message/invocations", "POST", json.dumps(event)),
            (f"/prod/@connections/{connection_id}", "POST", '{"type":"message","text":"forged"}'),
            (f"/prod/@connections/{connection_id}", "GET", None),
            (f"/prod/@connections/{connection_id}", "DELETE", None),
            ("/", "GET", None),
        )
        for mode, headers in (
            ("no-cors", {}),
            ("cors", {}),
            ("cors", {"Authorization": "AWS4-HMAC-SHA256"}),
        )
        if mode == "cors" or method != "DELETE"
    ]


async def fetch(page: Page, url: str, options: dict[str, Any]) -> str | None:
    """Return what the page learns; none if it learns nothing."""
    read: str | None = await page.evaluate(FETCH, [url, options])
    return read


async def test_own_page_reads_what_another_would_like_to(
    page: Page, target: Target, pair: Pair
) -> None:
    """So that the tests below do not pass for another reason."""
    async with chat_with_a_message(target, pair):
        await page.goto(str(target.page))
        url = f"{target.url}?userId={pair.second}&since=0"
        assert "secret" in await page.evaluate(OPEN_WEBSOCKET, url)
        assert (await fetch(page, str(target.page), {})) is not None


async def test_page_of_another_site_gets_nothing_from_the_runner(
    page: Page, target: Target, pair: Pair, other_site: str, browser_errors: BrowserErrors
) -> None:
    browser_errors.expected += ["WebSocket connection to", "CORS policy", "Failed to load resource"]
    async with chat_with_a_message(target, pair) as connection_id:
        await page.goto(other_site)
        for name in ("127.0.0.1", "localhost", "[::1]"):
            url = f"{target.url}?userId={pair.second}&since=0".replace("127.0.0.1", name)
            assert await page.evaluate(OPEN_WEBSOCKET, url) is None
        origin = str(target.page).removesuffix("/")
        for path, options in requests_to_the_runner(pair, connection_id):
            assert await fetch(page, f"{origin}{path}", options) is None


async def test_page_of_another_site_gets_nothing_from_the_embedded_aws(
    page: Page, target: Target, pair: Pair, other_site: str, browser_errors: BrowserErrors
) -> None:
    """A page learns this port from any link to a file."""
    browser_errors.expected += ["CORS policy", "Failed to load resource"]
    scan = {"X-Amz-Target": "DynamoDB_20120810.Scan", "Content-Type": "application/x-amz-json-1.0"}
    credential = "local/20260101/us-east-1/dynamodb/aws4_request"
    signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={credential}"}
    table = json.dumps({"TableName": "ChatMessages"})
    async with chat_with_a_message(target, pair):
        await page.goto(other_site)
        for options in (
            {"method": "POST", "headers": scan | signed, "body": table},
            {"method": "POST", "headers": scan, "body": table},
        ):
            assert await fetch(page, f"{target.aws_endpoint}/", options) is None
        for path in ("/moto-api/data.json", "/moto-api/", "/"):
            assert await fetch(page, f"{target.aws_endpoint}{path}", {}) is None
        # Its effect counts: the message of the chat would be gone.
        for mode in ("no-cors", "cors"):
            options = {"method": "POST", "mode": mode}
            assert await fetch(page, f"{target.aws_endpoint}/moto-api/reset", options) is None


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example"])
async def test_page_whose_name_was_led_to_this_machine_gets_nothing(
    target: Target, pair: Pair, name: str
) -> None:
    """DNS rebinding: for the browser, the page and the runner are one site."""

    where = urlsplit(target.url)
    origin = f"http://{name}:{where.port}"
    resolved = f"--host-resolver-rules=MAP {name} 127.0.0.1"
    async with (
        chat_with_a_message(target, pair) as connection_id,
        launch_chromium(resolved) as browser,
    ):
        page = await browser.new_page()
        # The refusal itself is a page of that origin: what it may do, the attacker's may.
        answer = await page.goto(origin)
        assert answer is not None
        assert answer.status == 403
        url = f"ws://{name}:{where.port}{where.path}?userId={pair.second}&since=0"
        assert await page.evaluate(OPEN_WEBSOCKET, url) is None
        for path, options in requests_to_the_runner(pair, connection_id):
            read = await fetch(page, f"{origin}{path}", options)
            assert read == '403 {"message":"Forbidden"}'
