"""The page's protocol client with a backend whose frames the test chooses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Page, WebSocketRoute, expect

from tests.browser.chat_pane import ChatPane
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


class ScriptedBackend:
    """A backend that sends the frames that a test chooses.

    Attributes:
        since_values: The `since` of each handshake.
        queries: The query of each handshake.
        frames: The frames that the page sent.
        on_connect: Returns the frames for a new connection, of which the first has number 1.
        on_frame: Returns the frames that answer a frame.
    """

    def __init__(self) -> None:
        self.since_values: list[int] = []
        self.queries: list[dict[str, list[str]]] = []
        self.frames: list[dict[str, Any]] = []
        self.on_connect: Callable[[int], list[Any]] = lambda number: [synced_frame(number)]
        self.on_frame: Callable[[dict[str, Any]], list[Any]] = lambda _: []
        self.socket: WebSocketRoute | None = None

    def connect(self, socket: WebSocketRoute) -> None:
        self.socket = socket
        self.queries.append(parse_qs(urlsplit(socket.url).query))
        self.since_values.append(int(self.queries[-1]["since"][0]))
        socket.on_message(self._take)
        self.push(*self.on_connect(len(self.since_values)))

    def push(self, *frames: object) -> None:
        assert self.socket is not None
        for frame in frames:
            self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    def _take(self, data: str | bytes) -> None:
        frame = json.loads(data)
        self.frames.append(frame)
        self.push(*self.on_frame(frame))


def synced_frame(until: int, *, complete: bool = True) -> dict[str, Any]:
    return {"type": "synced", "since": 0, "until": until, "count": 0, "complete": complete}


def upload_frame(frame: dict[str, Any], target: Target) -> dict[str, Any]:
    """Return the answer to a frame that asks for an upload link."""
    return {
        "type": "upload", "action": "sendfile", "chatId": frame["chatId"],
        "fileKey": "k/notes.txt", "uploadUrl": f"{target.aws_endpoint}/up",
        "method": "PUT", "headers": {"Content-Type": "text/plain"}, "expiresIn": 900,
    }  # fmt: skip


def ack_frame(frame: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "ack", "action": "sendmessage", "messageId": f"id of {frame['text']}",
        "chatId": frame["chatId"], "timestamp": 1_764_000_000_000, "delivered": 1,
        "clientMessageId": frame["clientMessageId"], **more,
    }  # fmt: skip


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend()


@pytest_asyncio.fixture(loop_scope="session")
async def anna(page: Page, target: Target, pair: Pair, backend: ScriptedBackend) -> ChatPane:
    """The pane of the first user, whose form is filled in and not submitted."""
    await page.route_web_socket(lambda url: url.startswith(target.url), backend.connect)
    await page.goto(str(target.page))
    await page.get_by_label("You are").fill(pair.first)
    await page.get_by_label("You talk to").fill(pair.second)
    return ChatPane(page, pair.first)


async def start_chat(anna: ChatPane) -> None:
    await anna.page.get_by_role("button", name="Start").click()


def message_frame(pair: Pair, timestamp: int, /, **changes: Any) -> dict[str, Any]:
    return {
        "type": "message", "messageId": f"m{timestamp}", "chatId": pair.chat_id,
        "senderId": pair.second, "recipientId": pair.first, "timestamp": timestamp,
        "text": f"at {timestamp}",
    } | changes  # fmt: skip


async def test_malformed_frames_are_ignored(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    malformed: list[Any] = [
        "", "not JSON", "null", "[]", "7", '"text"', {"type": "news"}, {"type": 7}, {},
        {"type": "message"},
        message_frame(pair, 1, messageId=7),
        message_frame(pair, 1, timestamp="now"),
        message_frame(pair, 1, timestamp=9e15),
        message_frame(pair, 1, text=None),
        message_frame(pair, 1, text={"toString": "x"}),
        {"type": "ack"},
        {"type": "ack", "clientMessageId": "nobody's", "messageId": "x", "timestamp": 1},
        {"type": "upload"}, {"type": "download", "fileKey": "x"},
        {"type": "synced", "until": "later"},
        {"message": "Forbidden", "connectionId": "x", "requestId": "y"},
        {"message": "Internal server error", "connectionId": "x", "requestId": "y"},
    ]  # fmt: skip
    backend.on_connect = lambda number: [*malformed, message_frame(pair, 5), synced_frame(number)]
    await start_chat(anna)
    await anna.expect_state("Connected")
    await anna.expect_messages("at 5")


async def test_javascript_link_to_a_file_is_not_followed(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    evil = message_frame(
        pair, 5, fileUrl="javascript:alert(1)", fileKey="k/x.png", fileName="x.png",
        contentType="image/png", size=3,
    )  # fmt: skip
    backend.on_connect = lambda number: [evil, synced_frame(number)]
    await start_chat(anna)
    await anna.expect_messages("x.png")
    await anna.button("Download x.png").click()
    await expect(anna.button("Download x.png")).to_have_attribute("aria-busy", "true")
    assert backend.frames[-1]["action"] == "sendfile"  # it requests another link


async def test_messages_are_sorted_by_time_and_shown_once(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    times = [30, 10, 20, 30, 10, 40, 20]
    backend.on_connect = lambda number: [
        *(message_frame(pair, time) for time in times),
        synced_frame(number),
    ]
    await start_chat(anna)
    await anna.expect_state("Connected")
    await anna.expect_messages("at 10", "at 20", "at 30", "at 40")


async def test_incomplete_catch_up_continues_at_once_from_until(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    backend.on_connect = lambda number: [
        message_frame(pair, number * 100),
        synced_frame(number * 1000, complete=number == 3),
    ]
    await start_chat(anna)
    await anna.expect_state("Connected")
    await anna.expect_messages("at 100", "at 200", "at 300")
    await expect(anna.message("at 100")).to_contain_text("3 messages while you were away")
    assert backend.since_values == [0, 1000, 2000]


async def test_client_emits_each_message_once_and_continues_a_catch_up_without_backoff(
    page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    backend.on_connect = lambda number: [
        message_frame(pair, 10),
        message_frame(pair, number * 100),
        message_frame(pair, 10),
        synced_frame(number * 1000, complete=number == 3),
    ]
    await page.route_web_socket(lambda url: url.startswith(target.url), backend.connect)
    await page.goto(str(target.page))
    received, states = await page.evaluate(
        """async ([url, userId]) => {
          const { ChatClient } = await import("/protocol.js");
          const [received, states] = [[], []];
          const client = new ChatClient({ url, userId });
          client.addEventListener("message", ({ detail }) => received.push(detail.timestamp));
          await new Promise((resolve) => {
            client.addEventListener("state", ({ detail: { name } }) => {
              states.push(name);
              if (name === "connected") resolve();
            });
            client.connect();
          });
          client.disconnect();
          return [received, states];
        }""",
        [target.url, pair.first],
    )
    assert received == [10, 100, 200, 300]
    assert states == ["connecting", "catching-up"] * 3 + ["connected", "offline"]


async def test_reload_connects_with_the_last_until_as_since(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    backend.on_connect = lambda number: [message_frame(pair, 5000), synced_frame(1000 * number)]
    await start_chat(anna)
    await anna.expect_state("Connected")
    backend.push(message_frame(pair, 9000))
    await anna.expect_messages("at 5000", "at 9000")
    await anna.page.reload()
    await anna.expect_state("Connected")
    await anna.expect_messages("at 5000", "at 9000")
    assert backend.since_values == [0, 1000]


@pytest.mark.parametrize(
    "refusal",
    [
        {"type": "error", "action": "sendmessage", "code": "unavailable", "retryAfterMs": 1},
        {"type": "error", "action": "sendmessage", "code": "internal", "requestId": "r"},
        {"message": "Internal server error", "connectionId": "x", "requestId": "y"},
        {"message": "Too Many Requests", "connectionId": "x", "requestId": "y"},
    ],
    ids=["unavailable", "internal", "Internal server error", "Too Many Requests"],
)
async def test_message_is_resent_after_a_transient_error(
    anna: ChatPane, backend: ScriptedBackend, refusal: dict[str, Any]
) -> None:
    def answers(frame: dict[str, Any]) -> list[Any]:
        if len(backend.frames) == 1:
            named = {"clientMessageId": frame["clientMessageId"]} if "type" in refusal else {}
            return [refusal | named]
        return [ack_frame(frame)]

    backend.on_frame = answers
    clock = anna.page.clock
    await clock.install()
    await start_chat(anna)
    await anna.expect_state("Connected")
    # It is resent within a second, which is less than the timeout without an answer.
    await clock.pause_at(await anna.page.evaluate("Date.now() / 1000 + 1"))
    await anna.send("Hello!")
    await expect(anna.message("Hello!")).to_contain_text("Trying again")
    await clock.run_for(1000)
    await expect(anna.message("Hello!")).to_contain_text("Delivered")
    first, second = backend.frames
    assert first == second
    assert first["clientMessageId"]


@pytest.mark.parametrize(
    "refusal",
    [
        {"type": "error", "action": "sendfile", "code": "unavailable", "retryAfterMs": 1},
        {"message": "Internal server error", "connectionId": "x", "requestId": "y"},
    ],
    ids=["unavailable", "Internal server error"],
)
async def test_upload_link_is_requested_again_after_a_transient_error(
    anna: ChatPane,
    target: Target,
    backend: ScriptedBackend,
    tmp_path: Path,
    refusal: dict[str, Any],
) -> None:
    def answers(frame: dict[str, Any]) -> list[Any]:
        if len(backend.frames) == 1:
            return [refusal]
        if frame["action"] == "sendmessage":
            return [ack_frame(frame | {"text": frame["fileKey"]})]
        return [upload_frame(frame, target)]

    backend.on_frame = answers
    await anna.page.route(
        f"{target.aws_endpoint}/up",
        lambda route: route.fulfill(headers={"Access-Control-Allow-Origin": "*"}),
    )
    notes = tmp_path / "notes.txt"
    notes.write_text("notes")
    await start_chat(anna)
    await anna.attach(notes)
    await expect(anna.message("notes.txt")).to_contain_text("Delivered")
    assert [frame["action"] for frame in backend.frames] == ["sendfile", "sendfile", "sendmessage"]


async def test_unauthorized_error_makes_the_client_reconnect(
    anna: ChatPane, backend: ScriptedBackend
) -> None:
    backend.on_frame = lambda frame: (
        [{"type": "error", "action": "sendmessage", "code": "unauthorized", "message": "Who?"}]
        if len(backend.since_values) == 1
        else [ack_frame(frame)]
    )
    await start_chat(anna)
    await anna.send("Hello!")
    await expect(anna.message("Hello!")).to_contain_text("Delivered")
    assert len(backend.since_values) == 2


async def test_next_message_of_a_chat_is_sent_only_after_the_ack(
    anna: ChatPane, backend: ScriptedBackend
) -> None:
    backend.on_frame = lambda frame: (
        [] if len(backend.frames) == 1 else [ack_frame(frame, timestamp=len(backend.frames))]
    )
    await start_chat(anna)
    for text in ("one", "two"):
        await anna.send(text)
    await anna.expect_messages("one", "two")
    assert [frame["text"] for frame in backend.frames] == ["one"]
    backend.push(ack_frame(backend.frames[0], timestamp=1))
    await expect(anna.message("two")).to_contain_text("Delivered")


async def test_own_message_that_is_pushed_before_its_ack_is_shown_once(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    backend.on_frame = lambda frame: [
        message_frame(pair, 7, messageId="id of Hello!", senderId=pair.first, text="Hello!"),
        ack_frame(frame, timestamp=7, duplicate=True),
    ]
    await start_chat(anna)
    await anna.send("Hello!")
    await expect(anna.message("Hello!")).to_contain_text("Delivered")
    await anna.expect_messages("Hello!")


async def test_backoff_between_connection_attempts_grows(
    page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    async def close(socket: WebSocketRoute) -> None:
        backend.connect(socket)
        await socket.close(code=1000)  # as when the user exceeds the connection limit

    await page.clock.install()
    await page.route_web_socket(lambda url: url.startswith(target.url), close)
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    notice = ChatPane(page, pair.first).region.get_by_text("Reconnecting in")
    for attempt in range(8):
        await expect(notice).to_be_visible()
        assert len(backend.since_values) == attempt + 1
        maximum = min(30, 2**attempt)
        seconds = int((await notice.inner_text()).split()[-2])
        # A second may have passed: the clock runs while the connection breaks.
        assert maximum / 2 - 1 <= seconds <= maximum
        await page.clock.run_for(seconds * 1000)


async def test_idle_connection_is_kept_alive_and_a_dead_one_is_replaced(
    page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    await page.clock.install()
    await page.route_web_socket(lambda url: url.startswith(target.url), backend.connect)
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    anna = ChatPane(page, pair.first)
    await anna.expect_state("Connected")
    backend.on_frame = lambda _: [
        {"message": "Forbidden", "connectionId": "x", "requestId": "y"},
        message_frame(pair, len(backend.frames)),
    ]
    for count in (1, 2, 3):
        await page.clock.run_for(4 * 60_000)
        await expect(anna.message(f"at {count}")).to_be_visible()
    assert [frame["action"] for frame in backend.frames] == ["ping"] * 3
    assert len(backend.since_values) == 1
    backend.on_frame = lambda _: []
    await page.clock.run_for(4 * 60_000 + 12_000)
    await expect(anna.region.get_by_text("Reconnecting in")).to_be_visible()
    await page.clock.run_for(1000)
    await anna.expect_state("Connected")
    assert len(backend.since_values) == 2


@pytest_asyncio.fixture(loop_scope="session")
async def module_page(page: Page, target: Target, backend: ScriptedBackend) -> Page:
    """A page that uses the module without the user interface."""
    await page.route_web_socket(lambda url: url.startswith(target.url), backend.connect)
    await page.goto(str(target.page))
    return page


async def test_token_function_is_called_again_after_it_throws(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    states = await module_page.evaluate(
        """async ([url, userId]) => {
          const { ChatClient } = await import("/protocol.js");
          const states = [];
          let asked = 0;
          const token = async () => {
            asked += 1;
            if (asked === 1) throw new TypeError("Failed to fetch");
            return "e30.e30.e30";
          };
          const client = new ChatClient({ url, userId, token });
          await new Promise((resolve) => {
            client.addEventListener("state", ({ detail: { name, error } }) => {
              states.push(error ? `${name}: ${error.code}` : name);
              if (name === "connected" || name === "offline") resolve();
            });
            client.connect();
          });
          return states;
        }""",
        [target.url, pair.first],
    )
    assert states == ["connecting", "waiting: no_token", "connecting", "catching-up", "connected"]
    # With both, the backend refuses a token that is not this user's.
    assert backend.queries == [{"token": ["e30.e30.e30"], "userId": [pair.first], "since": ["0"]}]


async def test_handshake_without_an_answer_times_out(
    page: Page, target: Target, pair: Pair
) -> None:
    await page.clock.install()
    await page.goto(str(target.page))
    await page.evaluate(
        """async ([url, userId]) => {
          const { ChatClient } = await import("/protocol.js");
          class WebSocket extends EventTarget { close() {} }
          globalThis.client = new ChatClient({ url, userId, WebSocket });
          client.connect();
        }""",
        [target.url, pair.first],
    )
    assert await page.evaluate("client.state.name") == "connecting"
    await page.clock.run_for(60_000)
    assert await page.evaluate("client.state.name") == "waiting"


async def test_catch_up_that_does_not_end_times_out(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    backend.on_connect = lambda number: [synced_frame(1)] if number == 2 else []
    await anna.page.clock.install()
    await start_chat(anna)
    for minute in range(1, 11):
        backend.push(message_frame(pair, minute))  # pushed meanwhile
        await expect(anna.message(f"at {minute}").first).to_be_visible()
        await anna.page.clock.run_for(31_000)
    await anna.page.clock.run_for(1000)
    await anna.expect_state("Connected")


async def test_send_throws_if_a_message_does_not_fit_in_a_frame(
    module_page: Page, target: Target, pair: Pair
) -> None:
    codes = await module_page.evaluate(
        """async ([url, userId, chatId]) => {
          const { ChatClient } = await import("/protocol.js");
          const client = new ChatClient({ url, userId });
          return [32_000, 33_000].map((length) => {
            try {
              client.send({ chatId, text: "x".repeat(length) });
              return "queued";
            } catch ({ code }) {
              return code;
            }
          });
        }""",
        [target.url, pair.first, pair.chat_id],
    )
    assert codes == ["queued", "too_large"]


async def test_messages_written_in_the_same_millisecond_keep_their_order(
    module_page: Page, target: Target, pair: Pair
) -> None:
    await module_page.clock.install()
    await module_page.clock.pause_at(await module_page.evaluate("Date.now() / 1000 + 1"))
    times = await module_page.evaluate(
        """async ([url, userId, chatId]) => {
          const { ChatClient } = await import("/protocol.js");
          const client = new ChatClient({ url, userId });
          return ["one", "two"].map((text) => client.send({ chatId, text }).createdAt);
        }""",
        [target.url, pair.first, pair.chat_id],
    )
    assert times[0] < times[1]


async def test_message_that_is_being_resent_can_be_removed(
    anna: ChatPane, backend: ScriptedBackend
) -> None:
    backend.on_frame = lambda frame: [
        {
            "type": "error", "action": "sendmessage", "code": "unavailable", "message": "Busy.",
            "retryAfterMs": 60_000, "clientMessageId": frame["clientMessageId"],
        }
    ]  # fmt: skip
    await start_chat(anna)
    await anna.send("Never mind")
    await anna.button("Remove: Never mind").click()
    await expect(anna.messages).to_have_count(0)


async def test_error_of_an_earlier_message_does_not_refuse_the_current_one(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    await start_chat(anna)
    await anna.send("Hello!")
    await expect(anna.message("Hello!")).to_contain_text("Sending")
    backend.push(
        {
            "type": "error", "action": "sendmessage", "code": "forbidden", "message": "No.",
            "clientMessageId": "an earlier message",
        },
        message_frame(pair, 5),
    )  # fmt: skip
    await expect(anna.message("at 5")).to_be_visible()
    await expect(anna.message("Hello!")).to_contain_text("Sending")


async def test_late_upload_link_is_not_used_for_a_file_of_another_chat(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    def offer(chat_id: str) -> dict[str, Any]:
        return {
            "type": "upload", "action": "sendfile", "chatId": chat_id,
            "fileKey": f"{chat_id}/x/notes.txt", "uploadUrl": f"{target.aws_endpoint}/up",
            "method": "PUT", "headers": {}, "expiresIn": 900,
        }  # fmt: skip

    other = f"{pair.first}#zoe"
    backend.on_frame = lambda _: (
        [offer(pair.chat_id), offer(other)] if len(backend.frames) == 2 else []
    )
    await module_page.route(
        f"{target.aws_endpoint}/up",
        lambda route: route.fulfill(headers={"Access-Control-Allow-Origin": "*"}),
    )
    key = await module_page.evaluate(
        """async ([url, userId, chatId, other]) => {
          const { ChatClient } = await import("/protocol.js");
          const client = new ChatClient({ url, userId });
          await new Promise((resolve) => {
            client.addEventListener("synced", resolve);
            client.connect();
          });
          const file = new File(["notes"], "notes.txt", { type: "text/plain" });
          const abort = new AbortController();
          const first = client.upload(chatId, file, { signal: abort.signal });
          abort.abort();
          await first.catch(() => {});
          return client.upload(other.split("#").reverse().join("#"), file);
        }""",
        [target.url, pair.first, pair.chat_id, other],
    )
    assert key == f"{other}/x/notes.txt"


async def test_retried_upload_runs_once(
    anna: ChatPane, target: Target, backend: ScriptedBackend, tmp_path: Path
) -> None:
    def answers(frame: dict[str, Any]) -> list[Any]:
        if frame["action"] == "sendmessage":
            return [ack_frame(frame | {"text": frame["fileKey"]})]
        if len(backend.frames) == 1:
            return [
                {
                    "type": "error", "action": "sendfile", "code": "invalid_request",
                    "message": "No.", "clientMessageId": frame["clientMessageId"],
                }
            ]  # fmt: skip
        return [upload_frame(frame, target)]

    backend.on_frame = answers
    await anna.page.evaluate(
        """() => {
          globalThis.XMLHttpRequest = class extends EventTarget {
            upload = new EventTarget();
            status = 200;
            open() {}
            setRequestHeader() {}
            send() {
              const half = Object.assign(new Event("progress"), { loaded: 1, total: 2 });
              this.upload.dispatchEvent(half);
              globalThis.finish = () => this.dispatchEvent(new Event("load"));
            }
          };
        }"""
    )
    notes = tmp_path / "notes.txt"
    notes.write_text("notes")
    await start_chat(anna)
    await anna.attach(notes)
    await anna.button("Try again: notes.txt").click()
    await expect(anna.region.get_by_role("progressbar")).to_have_js_property("value", 0.5)
    await expect(anna.button("Try again: notes.txt")).to_have_count(0)
    await expect(anna.region.get_by_text("Not accepted")).to_have_count(0)
    await anna.page.evaluate("finish()")
    await expect(anna.message("notes.txt")).to_contain_text("Delivered")
    assert [frame["action"] for frame in backend.frames] == ["sendfile", "sendfile", "sendmessage"]


async def test_message_that_could_not_be_stored_is_pushed_again_after_a_reload(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    await start_chat(anna)
    await anna.expect_state("Connected")
    await anna.page.evaluate(
        """() => {
          const { setItem } = Storage.prototype;
          Storage.prototype.setItem = function (key, value) {
            if (key.includes("/message/")) throw new DOMException("Full", "QuotaExceededError");
            setItem.call(this, key, value);
          };
        }"""
    )
    backend.push(message_frame(pair, 500), synced_frame(1000))
    await anna.expect_messages("at 500")
    full = anna.region.get_by_role("alert").filter(has_text="no more room")
    await expect(full).to_be_visible()
    await anna.text_input.press_sequentially("typing")
    await expect(full).to_be_visible()
    backend.on_connect = lambda number: [message_frame(pair, 500), synced_frame(number * 1000)]
    await anna.page.reload()
    await anna.expect_state("Connected")
    await anna.expect_messages("at 500")
    assert backend.since_values == [0, 1]


async def test_malformed_stored_data_is_ignored(anna: ChatPane, backend: ScriptedBackend) -> None:
    await start_chat(anna)
    await anna.expect_state("Connected")
    await anna.page.evaluate(
        """() => {
          const until = Object.keys(localStorage).find((key) => key.endsWith("/until"));
          localStorage.setItem(until, "1e99");
          const root = until.slice(0, -"until".length);
          for (const kind of ["message", "outbox"]) {
            ["null", "7", "[]", "{}", "not JSON"].forEach((value, number) => {
              localStorage.setItem(`${root}${kind}/${number}`, value);
            });
          }
        }"""
    )
    await anna.page.reload()
    await anna.expect_state("Connected")
    await expect(anna.messages).to_have_count(0)
    assert backend.since_values == [0, 0]


async def test_gateway_error_during_a_backoff_does_not_fail_a_file_request(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    busy = {"type": "error", "action": "sendfile", "code": "unavailable", "message": "Busy."}
    throttled = {"message": "Too Many Requests", "connectionId": "x", "requestId": "y"}
    found = {"type": "download", "fileKey": "k/x.txt", "fileUrl": "https://example.com/x.txt"}
    backend.on_frame = lambda _: [busy, *[throttled] * 6] if len(backend.frames) == 1 else [found]
    link = await module_page.evaluate(
        """async ([url, userId, chatId]) => {
          const { ChatClient } = await import("/protocol.js");
          const client = new ChatClient({ url, userId });
          client.connect();
          return (await client.downloadLink(chatId, "k/x.txt")).fileUrl;
        }""",
        [target.url, pair.first, pair.chat_id],
    )
    assert link == "https://example.com/x.txt"
