"""The client's protocol against a backend that answers as ours rarely or never does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Page, WebSocketRoute, expect

from tests.browser.side import Side
from tests.support.runner import Target
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Backend:
    """Says what a test has it say.

    Attributes:
        handshakes: The `since` of each.
        asked: The whole query of each.
        frames: What the page sent.
        greets: Says what a new connection gets, the first being number 1.
        answers: Says what a frame gets.
    """

    def __init__(self) -> None:
        self.handshakes: list[int] = []
        self.asked: list[dict[str, list[str]]] = []
        self.frames: list[dict[str, Any]] = []
        self.greets: Callable[[int], list[Any]] = lambda number: [synced(number)]
        self.answers: Callable[[dict[str, Any]], list[Any]] = lambda _: []
        self.socket: WebSocketRoute | None = None

    def connect(self, socket: WebSocketRoute) -> None:
        self.socket = socket
        self.asked.append(parse_qs(urlsplit(socket.url).query))
        self.handshakes.append(int(self.asked[-1]["since"][0]))
        socket.on_message(self._take)
        self.say(*self.greets(len(self.handshakes)))

    def say(self, *frames: object) -> None:
        assert self.socket is not None
        for frame in frames:
            self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    def _take(self, data: str | bytes) -> None:
        frame = json.loads(data)
        self.frames.append(frame)
        self.say(*self.answers(frame))


def synced(until: int, *, complete: bool = True) -> dict[str, Any]:
    return {"type": "synced", "since": 0, "until": until, "count": 0, "complete": complete}


def offered(frame: dict[str, Any], target: Target) -> dict[str, Any]:
    """Offer a link for the upload that a frame asks for."""
    return {
        "type": "upload", "action": "sendfile", "chatId": frame["chatId"],
        "fileKey": "k/notes.txt", "uploadUrl": f"{target.aws_endpoint}/up",
        "method": "PUT", "headers": {"Content-Type": "text/plain"}, "expiresIn": 900,
    }  # fmt: skip


def acked(frame: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "ack", "action": "sendmessage", "messageId": f"id of {frame['text']}",
        "chatId": frame["chatId"], "timestamp": 1_764_000_000_000, "delivered": 1,
        "clientMessageId": frame["clientMessageId"], **more,
    }  # fmt: skip


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest_asyncio.fixture(loop_scope="session")
async def here(page: Page, target: Target, pair: Pair, backend: Backend) -> Side:
    """One side, which has not begun yet."""
    await page.route_web_socket(lambda url: url.startswith(target.url), backend.connect)
    await page.goto(str(target.page))
    await page.get_by_label("You are").fill(pair.first)
    await page.get_by_label("You talk to").fill(pair.second)
    return Side(page, pair.first)


async def begin(here: Side) -> None:
    await here.page.get_by_role("button", name="Start").click()


def message(pair: Pair, timestamp: int, /, **changes: Any) -> dict[str, Any]:
    return {
        "type": "message", "messageId": f"m{timestamp}", "chatId": pair.chat_id,
        "senderId": pair.second, "recipientId": pair.first, "timestamp": timestamp,
        "text": f"at {timestamp}",
    } | changes  # fmt: skip


async def test_frames_that_make_no_sense_are_passed_over(
    here: Side, pair: Pair, backend: Backend
) -> None:
    strange: list[Any] = [
        "", "not JSON", "null", "[]", "7", '"text"', {"type": "news"}, {"type": 7}, {},
        {"type": "message"},
        message(pair, 1, messageId=7),
        message(pair, 1, timestamp="now"),
        message(pair, 1, timestamp=9e15),
        message(pair, 1, text=None),
        message(pair, 1, text={"toString": "x"}),
        {"type": "ack"},
        {"type": "ack", "clientMessageId": "nobody's", "messageId": "x", "timestamp": 1},
        {"type": "upload"}, {"type": "download", "fileKey": "x"},
        {"type": "synced", "until": "later"},
        {"message": "Forbidden", "connectionId": "x", "requestId": "y"},
        {"message": "Internal server error", "connectionId": "x", "requestId": "y"},
    ]  # fmt: skip
    backend.greets = lambda number: [*strange, message(pair, 5), synced(number)]
    await begin(here)
    await here.is_("Connected")
    await here.reads("at 5")


async def test_a_link_that_is_no_web_address_is_not_followed(
    here: Side, pair: Pair, backend: Backend
) -> None:
    evil = message(
        pair, 5, fileUrl="javascript:alert(1)", fileKey="k/x.png", fileName="x.png",
        contentType="image/png", size=3,
    )  # fmt: skip
    backend.greets = lambda number: [evil, synced(number)]
    await begin(here)
    await here.reads("x.png")
    await here.button("Download x.png").click()
    await expect(here.button("Download x.png")).to_have_attribute("aria-busy", "true")
    assert backend.frames[-1]["action"] == "sendfile"  # it asks for another


async def test_replayed_and_pushed_messages_are_put_in_order_and_shown_once(
    here: Side, pair: Pair, backend: Backend
) -> None:
    times = [30, 10, 20, 30, 10, 40, 20]
    backend.greets = lambda number: [*(message(pair, time) for time in times), synced(number)]
    await begin(here)
    await here.is_("Connected")
    await here.reads("at 10", "at 20", "at 30", "at 40")


async def test_while_more_is_waiting_it_connects_again_at_once_with_until(
    here: Side, pair: Pair, backend: Backend
) -> None:
    backend.greets = lambda number: [
        message(pair, number * 100),
        synced(number * 1000, complete=number == 3),
    ]
    await begin(here)
    await here.is_("Connected")
    await here.reads("at 100", "at 200", "at 300")
    await expect(here.message("at 100")).to_contain_text("3 messages while you were away")
    assert backend.handshakes == [0, 1000, 2000]


async def test_the_module_alone_tells_each_message_once_and_pauses_only_after_failures(
    page: Page, target: Target, pair: Pair, backend: Backend
) -> None:
    backend.greets = lambda number: [
        message(pair, 10),
        message(pair, number * 100),
        message(pair, 10),
        synced(number * 1000, complete=number == 3),
    ]
    await page.route_web_socket(lambda url: url.startswith(target.url), backend.connect)
    await page.goto(str(target.page))
    told, states = await page.evaluate(
        """async ([url, userId]) => {
          const { ChatClient } = await import("/protocol.js");
          const [told, states] = [[], []];
          const client = new ChatClient({ url, userId });
          client.addEventListener("message", ({ detail }) => told.push(detail.timestamp));
          await new Promise((resolve) => {
            client.addEventListener("state", ({ detail: { name } }) => {
              states.push(name);
              if (name === "connected") resolve();
            });
            client.connect();
          });
          client.disconnect();
          return [told, states];
        }""",
        [target.url, pair.first],
    )
    assert told == [10, 100, 200, 300]
    assert states == ["connecting", "catching-up"] * 3 + ["connected", "offline"]


async def test_until_counts_and_not_the_last_message_seen(
    here: Side, pair: Pair, backend: Backend
) -> None:
    backend.greets = lambda number: [message(pair, 5000), synced(1000 * number)]
    await begin(here)
    await here.is_("Connected")
    backend.say(message(pair, 9000))
    await here.reads("at 5000", "at 9000")
    await here.page.reload()
    await here.is_("Connected")
    await here.reads("at 5000", "at 9000")
    assert backend.handshakes == [0, 1000]


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
async def test_what_may_succeed_later_is_sent_again(
    here: Side, backend: Backend, refusal: dict[str, Any]
) -> None:
    def answers(frame: dict[str, Any]) -> list[Any]:
        if len(backend.frames) == 1:
            named = {"clientMessageId": frame["clientMessageId"]} if "type" in refusal else {}
            return [refusal | named]
        return [acked(frame)]

    backend.answers = answers
    clock = here.page.clock
    await clock.install()
    await begin(here)
    await here.is_("Connected")
    # A second is enough: it does not wait as long as for an answer that does not come.
    await clock.pause_at(await here.page.evaluate("Date.now() / 1000 + 1"))
    await here.say("Hello!")
    await expect(here.message("Hello!")).to_contain_text("Trying again")
    await clock.run_for(1000)
    await expect(here.message("Hello!")).to_contain_text("Delivered")
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
async def test_an_upload_asks_again_where_it_may_succeed_later(
    here: Side, target: Target, backend: Backend, tmp_path: Path, refusal: dict[str, Any]
) -> None:
    def answers(frame: dict[str, Any]) -> list[Any]:
        if len(backend.frames) == 1:
            return [refusal]
        if frame["action"] == "sendmessage":
            return [acked(frame | {"text": frame["fileKey"]})]
        return [offered(frame, target)]

    backend.answers = answers
    await here.page.route(
        f"{target.aws_endpoint}/up",
        lambda route: route.fulfill(headers={"Access-Control-Allow-Origin": "*"}),
    )
    notes = tmp_path / "notes.txt"
    notes.write_text("notes")
    await begin(here)
    await here.attach(notes)
    await expect(here.message("notes.txt")).to_contain_text("Delivered")
    assert [frame["action"] for frame in backend.frames] == ["sendfile", "sendfile", "sendmessage"]


async def test_a_backend_that_has_forgotten_the_connection_is_connected_to_again(
    here: Side, backend: Backend
) -> None:
    backend.answers = lambda frame: (
        [{"type": "error", "action": "sendmessage", "code": "unauthorized", "message": "Who?"}]
        if len(backend.handshakes) == 1
        else [acked(frame)]
    )
    await begin(here)
    await here.say("Hello!")
    await expect(here.message("Hello!")).to_contain_text("Delivered")
    assert len(backend.handshakes) == 2


async def test_no_message_overtakes_another(here: Side, backend: Backend) -> None:
    backend.answers = lambda frame: (
        [] if len(backend.frames) == 1 else [acked(frame, timestamp=len(backend.frames))]
    )
    await begin(here)
    for text in ("one", "two"):
        await here.say(text)
    await here.reads("one", "two")
    assert [frame["text"] for frame in backend.frames] == ["one"]
    backend.say(acked(backend.frames[0], timestamp=1))
    await expect(here.message("two")).to_contain_text("Delivered")


async def test_a_message_of_ones_own_that_comes_back_before_its_ack_is_one(
    here: Side, pair: Pair, backend: Backend
) -> None:
    backend.answers = lambda frame: [
        message(pair, 7, messageId="id of Hello!", senderId=pair.first, text="Hello!"),
        acked(frame, timestamp=7, duplicate=True),
    ]
    await begin(here)
    await here.say("Hello!")
    await expect(here.message("Hello!")).to_contain_text("Delivered")
    await here.reads("Hello!")


async def test_pauses_between_attempts_grow(
    page: Page, target: Target, pair: Pair, backend: Backend
) -> None:
    async def close(socket: WebSocketRoute) -> None:
        backend.connect(socket)
        await socket.close(code=1000)  # as the oldest connection of too many is closed

    await page.clock.install()
    await page.route_web_socket(lambda url: url.startswith(target.url), close)
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    words = Side(page, pair.first).pane.get_by_text("Reconnecting in")
    for attempt in range(8):
        await expect(words).to_be_visible()
        assert len(backend.handshakes) == attempt + 1
        longest = min(30, 2**attempt)
        seconds = int((await words.inner_text()).split()[-2])
        # A second may have gone by: the clock does not stop while the connection breaks.
        assert longest / 2 - 1 <= seconds <= longest
        await page.clock.run_for(seconds * 1000)


async def test_a_silent_connection_is_kept_alive_and_a_dead_one_noticed(
    page: Page, target: Target, pair: Pair, backend: Backend
) -> None:
    await page.clock.install()
    await page.route_web_socket(lambda url: url.startswith(target.url), backend.connect)
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    here = Side(page, pair.first)
    await here.is_("Connected")
    backend.answers = lambda _: [
        {"message": "Forbidden", "connectionId": "x", "requestId": "y"},
        message(pair, len(backend.frames)),
    ]
    for count in (1, 2, 3):
        await page.clock.run_for(4 * 60_000)
        await expect(here.message(f"at {count}")).to_be_visible()
    assert [frame["action"] for frame in backend.frames] == ["ping"] * 3
    assert len(backend.handshakes) == 1
    backend.answers = lambda _: []
    await page.clock.run_for(4 * 60_000 + 12_000)
    await expect(here.pane.get_by_text("Reconnecting in")).to_be_visible()
    await page.clock.run_for(1000)
    await here.is_("Connected")
    assert len(backend.handshakes) == 2


@pytest_asyncio.fixture(loop_scope="session")
async def module(page: Page, target: Target, backend: Backend) -> Page:
    """A page on which the module stands alone."""
    await page.route_web_socket(lambda url: url.startswith(target.url), backend.connect)
    await page.goto(str(target.page))
    return page


async def test_a_token_that_cannot_be_had_is_asked_for_again(
    module: Page, target: Target, pair: Pair, backend: Backend
) -> None:
    states = await module.evaluate(
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
    # The backend refuses a token that is not this user's.
    assert backend.asked == [{"token": ["e30.e30.e30"], "userId": [pair.first], "since": ["0"]}]


async def test_a_handshake_that_nobody_answers_is_tried_again(
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


async def test_a_replay_that_does_not_end_is_asked_for_again(
    here: Side, pair: Pair, backend: Backend
) -> None:
    backend.greets = lambda number: [synced(1)] if number == 2 else []
    await here.page.clock.install()
    await begin(here)
    for minute in range(1, 11):
        backend.say(message(pair, minute))  # pushed meanwhile
        await expect(here.message(f"at {minute}").first).to_be_visible()
        await here.page.clock.run_for(31_000)
    await here.page.clock.run_for(1000)
    await here.is_("Connected")


async def test_a_message_that_no_frame_holds_is_thrown_back(
    module: Page, target: Target, pair: Pair
) -> None:
    codes = await module.evaluate(
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


async def test_messages_of_one_moment_are_kept_in_their_order(
    module: Page, target: Target, pair: Pair
) -> None:
    await module.clock.install()
    await module.clock.pause_at(await module.evaluate("Date.now() / 1000 + 1"))
    times = await module.evaluate(
        """async ([url, userId, chatId]) => {
          const { ChatClient } = await import("/protocol.js");
          const client = new ChatClient({ url, userId });
          return ["one", "two"].map((text) => client.send({ chatId, text }).createdAt);
        }""",
        [target.url, pair.first, pair.chat_id],
    )
    assert times[0] < times[1]


async def test_what_is_tried_again_can_be_given_up(here: Side, backend: Backend) -> None:
    backend.answers = lambda frame: [
        {
            "type": "error", "action": "sendmessage", "code": "unavailable", "message": "Busy.",
            "retryAfterMs": 60_000, "clientMessageId": frame["clientMessageId"],
        }
    ]  # fmt: skip
    await begin(here)
    await here.say("Never mind")
    await here.button("Remove: Never mind").click()
    await expect(here.messages).to_have_count(0)


async def test_a_late_error_blames_no_other_message(
    here: Side, pair: Pair, backend: Backend
) -> None:
    await begin(here)
    await here.say("Hello!")
    await expect(here.message("Hello!")).to_contain_text("Sending")
    backend.say(
        {
            "type": "error", "action": "sendmessage", "code": "forbidden", "message": "No.",
            "clientMessageId": "one of before",
        },
        message(pair, 5),
    )  # fmt: skip
    await expect(here.message("at 5")).to_be_visible()
    await expect(here.message("Hello!")).to_contain_text("Sending")


async def test_a_late_answer_is_not_taken_for_another_chats_file(
    module: Page, target: Target, pair: Pair, backend: Backend
) -> None:
    def offer(chat_id: str) -> dict[str, Any]:
        return {
            "type": "upload", "action": "sendfile", "chatId": chat_id,
            "fileKey": f"{chat_id}/x/notes.txt", "uploadUrl": f"{target.aws_endpoint}/up",
            "method": "PUT", "headers": {}, "expiresIn": 900,
        }  # fmt: skip

    other = f"{pair.first}#zoe"
    backend.answers = lambda _: (
        [offer(pair.chat_id), offer(other)] if len(backend.frames) == 2 else []
    )
    await module.route(
        f"{target.aws_endpoint}/up",
        lambda route: route.fulfill(headers={"Access-Control-Allow-Origin": "*"}),
    )
    key = await module.evaluate(
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


async def test_an_upload_that_is_tried_again_runs_once(
    here: Side, target: Target, backend: Backend, tmp_path: Path
) -> None:
    def answers(frame: dict[str, Any]) -> list[Any]:
        if frame["action"] == "sendmessage":
            return [acked(frame | {"text": frame["fileKey"]})]
        if len(backend.frames) == 1:
            return [
                {
                    "type": "error", "action": "sendfile", "code": "invalid_request",
                    "message": "No.", "clientMessageId": frame["clientMessageId"],
                }
            ]  # fmt: skip
        return [offered(frame, target)]

    backend.answers = answers
    await here.page.evaluate(
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
    await begin(here)
    await here.attach(notes)
    await here.button("Try again: notes.txt").click()
    await expect(here.pane.get_by_role("progressbar")).to_have_js_property("value", 0.5)
    await expect(here.button("Try again: notes.txt")).to_have_count(0)
    await expect(here.pane.get_by_text("Not accepted")).to_have_count(0)
    await here.page.evaluate("finish()")
    await expect(here.message("notes.txt")).to_contain_text("Delivered")
    assert [frame["action"] for frame in backend.frames] == ["sendfile", "sendfile", "sendmessage"]


async def test_what_could_not_be_kept_is_replayed_after_a_reload(
    here: Side, pair: Pair, backend: Backend
) -> None:
    await begin(here)
    await here.is_("Connected")
    await here.page.evaluate(
        """() => {
          const { setItem } = Storage.prototype;
          Storage.prototype.setItem = function (key, value) {
            if (key.includes("/message/")) throw new DOMException("Full", "QuotaExceededError");
            setItem.call(this, key, value);
          };
        }"""
    )
    backend.say(message(pair, 500), synced(1000))
    await here.reads("at 500")
    full = here.pane.get_by_role("alert").filter(has_text="no more room")
    await expect(full).to_be_visible()
    await here.box.press_sequentially("typing")
    await expect(full).to_be_visible()
    backend.greets = lambda number: [message(pair, 500), synced(number * 1000)]
    await here.page.reload()
    await here.is_("Connected")
    await here.reads("at 500")
    assert backend.handshakes == [0, 1]


async def test_what_is_kept_in_another_form_is_passed_over(here: Side, backend: Backend) -> None:
    await begin(here)
    await here.is_("Connected")
    await here.page.evaluate(
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
    await here.page.reload()
    await here.is_("Connected")
    await expect(here.messages).to_have_count(0)
    assert backend.handshakes == [0, 0]


async def test_what_the_gateway_says_in_a_pause_is_not_held_against_a_question(
    module: Page, target: Target, pair: Pair, backend: Backend
) -> None:
    busy = {"type": "error", "action": "sendfile", "code": "unavailable", "message": "Busy."}
    throttled = {"message": "Too Many Requests", "connectionId": "x", "requestId": "y"}
    found = {"type": "download", "fileKey": "k/x.txt", "fileUrl": "https://example.com/x.txt"}
    backend.answers = lambda _: [busy, *[throttled] * 6] if len(backend.frames) == 1 else [found]
    link = await module.evaluate(
        """async ([url, userId, chatId]) => {
          const { ChatClient } = await import("/protocol.js");
          const client = new ChatClient({ url, userId });
          client.connect();
          return (await client.downloadLink(chatId, "k/x.txt")).fileUrl;
        }""",
        [target.url, pair.first, pair.chat_id],
    )
    assert link == "https://example.com/x.txt"
