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
        frames: The frames that the page sent, without `getmessages` and signals.
        signals: The `received`, `read` and `typing` frames that the page sent.
        questions: The `getmessages` frames that the page sent.
        on_connect: Returns the frames for a new connection, of which the first has number 1.
        on_frame: Returns the frames that answer a frame.
        on_question: Returns the frames that answer a `getmessages` frame.
        on_signal: Returns the frames that answer a signal.
    """

    def __init__(self) -> None:
        self.since_values: list[int] = []
        self.queries: list[dict[str, list[str]]] = []
        self.frames: list[dict[str, Any]] = []
        self.signals: list[dict[str, Any]] = []
        self.questions: list[dict[str, Any]] = []
        self.on_connect: Callable[[int], list[Any]] = lambda number: [synced_frame(number)]
        self.on_frame: Callable[[dict[str, Any]], list[Any]] = lambda _: []
        self.on_question: Callable[[dict[str, Any]], list[Any]] = lambda frame: [no_messages(frame)]
        self.on_signal: Callable[[dict[str, Any]], list[Any]] = lambda _: []
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
        if frame["action"] == "getmessages":
            self.questions.append(frame)
            self.push(*self.on_question(frame))
        elif is_signal(frame):
            self.signals.append(frame)
            self.push(*self.on_signal(frame))
        else:
            self.frames.append(frame)
            self.push(*self.on_frame(frame))


def is_signal(frame: dict[str, Any]) -> bool:
    return not frame.keys().isdisjoint({"received", "read", "typing"})


def synced_frame(until: int, *, complete: bool = True) -> dict[str, Any]:
    return {"type": "synced", "since": 0, "until": until, "count": 0, "complete": complete}


def messages_frame(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"type": "messages", "messages": messages}


def history_frame(
    chat_id: str, *messages: dict[str, Any], before: int | None = None
) -> dict[str, Any]:
    """Return a page of a chat; `before` only if there are older messages."""
    more = {"more": before is not None} | ({} if before is None else {"before": before})
    return {"type": "history", "chatId": chat_id, "messages": messages, "receipts": {}, **more}


def no_messages(question: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a `getmessages` frame where there is nothing to answer with."""
    if "chatId" in question:
        return history_frame(question["chatId"])
    return synced_frame(question["since"])


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
        {"type": "messages"}, {"type": "messages", "messages": [None, 7, {}]},
        {"type": "history"}, {"type": "history", "chatId": pair.chat_id, "messages": "none"},
        {"type": "history", "chatId": pair.chat_id, "messages": [], "more": True},
        history_frame(pair.chat_id) | {"receipts": {pair.second: 7}},
        {"type": "ack", "action": "sendmessage", "chatId": pair.chat_id, "read": "now"},
        {"type": "receipt"}, {"type": "receipt", "chatId": pair.chat_id, "userId": 7, "read": 9},
        {"type": "receipt", "chatId": pair.chat_id, "userId": pair.second, "read": "now"},
        {"type": "typing"}, {"type": "typing", "chatId": 7, "userId": pair.second},
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
        messages_frame(*(message_frame(pair, time) for time in times[:4])),
        *(message_frame(pair, time) for time in times[4:]),
        synced_frame(number),
    ]
    await start_chat(anna)
    await anna.expect_state("Connected")
    await anna.expect_messages("at 10", "at 20", "at 30", "at 40")


def catch_up_in_parts(pair: Pair, number: int) -> list[dict[str, Any]]:
    """Return the frames of one of three parts of a catch-up."""
    return [
        messages_frame(
            message_frame(pair, 10), message_frame(pair, number * 100), message_frame(pair, 10)
        ),
        synced_frame(number * 1000, complete=number == 3),
    ]


async def test_incomplete_catch_up_continues_at_once_from_until(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    backend.on_connect = lambda number: catch_up_in_parts(pair, number)
    backend.on_question = lambda frame: (
        catch_up_in_parts(pair, frame["since"] // 1000 + 1)
        if "since" in frame
        else [no_messages(frame)]
    )
    await start_chat(anna)
    await anna.expect_state("Connected")
    await anna.expect_messages("at 10", "at 100", "at 200", "at 300")
    await expect(anna.message("at 10").first).to_contain_text("4 messages while you were away")
    assert backend.since_values == [0]
    assert [frame["since"] for frame in backend.questions if "since" in frame] == [1000, 2000]


async def test_client_emits_each_message_once_and_continues_a_catch_up_on_the_same_connection(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    backend.on_connect = lambda number: catch_up_in_parts(pair, number)
    backend.on_question = lambda frame: catch_up_in_parts(pair, frame["since"] // 1000 + 1)
    received, states = await module_page.evaluate(
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
    assert states == ["connecting", "catching-up", "connected", "offline"]


async def test_reload_connects_with_the_last_until_as_since(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    backend.on_connect = lambda number: [message_frame(pair, 5000), synced_frame(1000 * number)]
    await start_chat(anna)
    await anna.expect_state("Connected")
    await anna.expect_messages("at 5000")
    await anna.page.reload()
    await anna.expect_state("Connected")
    await anna.expect_messages("at 5000")
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


async def test_own_message_that_comes_back_with_its_client_message_id_is_acknowledged(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    await start_chat(anna)
    await anna.send("Hello!")
    await expect(anna.message("Hello!")).to_contain_text("Sending")
    (frame,) = backend.frames
    own = message_frame(pair, 7, messageId="m", senderId=pair.first, text="Hello!")
    backend.push(own | {"clientMessageId": frame["clientMessageId"]}, own)
    await expect(anna.message("Hello!")).to_contain_text("Sent")
    await anna.expect_messages("Hello!")
    await anna.page.reload()
    await anna.expect_state("Connected")
    assert len(backend.frames) == 1  # it is not in the outbox any more


async def test_own_message_that_is_in_the_history_before_its_ack_is_shown_once(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    backend.on_question = lambda frame: [] if "chatId" in frame else [no_messages(frame)]
    await start_chat(anna)
    await anna.send("Hello!")
    await expect(anna.message("Hello!")).to_contain_text("Sending")
    (frame,) = backend.frames
    own = message_frame(pair, 7, messageId="id of Hello!", senderId=pair.first, text="Hello!")
    own |= {"clientMessageId": frame["clientMessageId"]}
    backend.push(history_frame(pair.chat_id, message_frame(pair, 6), own))
    await expect(anna.message("at 6")).to_be_visible()
    await anna.expect_messages("at 6", "Hello!")
    await expect(anna.message("Hello!")).to_contain_text("Sending")
    backend.push(ack_frame(frame, timestamp=7))
    await expect(anna.message("Hello!")).to_contain_text("Delivered")
    await anna.expect_messages("at 6", "Hello!")


async def test_older_pages_are_loaded_at_the_start_and_the_view_does_not_move(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    def answer(frame: dict[str, Any]) -> list[Any]:
        if "since" in frame:
            return [no_messages(frame)]
        end = frame.get("before", 300)
        page = [message_frame(pair, time) for time in range(max(100, end - 50), end)]
        before = page[0]["timestamp"]
        return [history_frame(pair.chat_id, *page, before=before if before > 100 else None)]

    backend.on_question = answer
    # What a catch-up contains of the time before the loaded part is shown with that part.
    backend.on_connect = lambda number: [
        messages_frame(message_frame(pair, 120)),
        synced_frame(number),
    ]
    await start_chat(anna)
    await expect(anna.message("at 299")).to_be_in_viewport()
    await expect(anna.messages).to_have_count(50)
    top = """() => {
      const list = document.querySelector(".message-list");
      list.scrollTop = 300;
      const rows = [...document.querySelectorAll(".message")];
      window.row = rows.find((row) => row.getBoundingClientRect().top > 300);
      return window.row.getBoundingClientRect().top;
    }"""
    before = await anna.page.evaluate(top)
    await expect(anna.messages).to_have_count(100)
    after = await anna.page.evaluate("row.getBoundingClientRect().top")
    assert abs(after - before) <= 1
    for count in (150, 200):
        await anna.message_list.evaluate("list => { list.scrollTop = 0; }")
        await expect(anna.messages).to_have_count(count)
    await expect(anna.region.get_by_text("This is the start of the chat")).to_be_attached()
    texts = await anna.messages.locator(".text").all_inner_texts()
    assert texts == [f"at {time}" for time in range(100, 300)]
    pages = [frame for frame in backend.questions if "chatId" in frame]
    assert [frame.get("before") for frame in pages] == [None, 250, 200, 150]


async def test_history_that_cannot_be_loaded_shows_the_error_and_is_loaded_again(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    def refuse(frame: dict[str, Any]) -> list[Any]:
        refusal = {"type": "error", "action": "getmessages", "code": "internal", "message": "Oh."}
        forbidden = refusal | {"code": "forbidden", "clientMessageId": frame["clientMessageId"]}
        # The first is transient, and for that reason asked again.
        return [refusal] if len(backend.questions) == 1 else [forbidden]

    backend.on_question = refuse
    await start_chat(anna)
    error = anna.message_list.get_by_role("alert").filter(has_text="Not allowed. Oh.")
    await expect(error).to_be_visible()
    backend.push(message_frame(pair, 7))
    await anna.expect_messages("at 7")
    backend.on_question = lambda frame: [history_frame(frame["chatId"], message_frame(pair, 5))]
    await anna.button("Load again").click()
    await anna.expect_messages("at 5", "at 7")
    await expect(error).to_be_hidden()
    await expect(anna.button("Load again")).to_be_hidden()


async def test_history_settles_and_is_requested_one_page_at_a_time(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    other = f"{pair.first}#zoe"
    stale = history_frame(pair.chat_id, message_frame(pair, 50))

    def answer(frame: dict[str, Any]) -> list[Any]:
        if len(backend.questions) == 1:
            return []  # the answer follows with the one to the question about another chat
        if frame["chatId"] == other:
            newest = history_frame(pair.chat_id, message_frame(pair, 50), before=50)
            return [newest, stale, history_frame(other)]
        if "before" in frame:
            return [stale, history_frame(pair.chat_id, message_frame(pair, 40))]
        return []

    backend.on_question = answer
    outcomes = await module_page.evaluate(
        """async ([url, userId, chatId, other]) => {
          const { ChatClient } = await import("/protocol.js");
          const client = new ChatClient({ url, userId });
          const outcome = (page) => page.then(
            ({ messages }) => messages.map(({ timestamp }) => timestamp), ({ code }) => code);
          const offline = await outcome(client.history(chatId));
          await new Promise((resolve) => {
            client.addEventListener("synced", resolve);
            client.connect();
          });
          const reversed = chatId.split("#").reverse().join("#");
          const pages = await Promise.all([
            outcome(client.history(reversed)),
            outcome(client.history(chatId, { before: 50, limit: 1 })),
            outcome(client.history(other)),
          ]);
          const open = outcome(client.history(chatId));
          client.disconnect();
          return [offline, ...pages, await open];
        }""",
        [target.url, pair.first, pair.chat_id, other],
    )
    assert outcomes == ["disconnected", [50], [40], [], "disconnected"]
    assert backend.questions[2]["before"] == 50
    assert backend.questions[2]["limit"] == 1


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


async def test_client_asks_what_it_missed_after_5_s_and_then_after_4_minutes_of_silence(
    page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    def answer(frame: dict[str, Any]) -> list[Any]:
        if "chatId" in frame:
            return [no_messages(frame)]
        until = frame["since"] + 100
        return [messages_frame(message_frame(pair, until)), synced_frame(until)]

    backend.on_question = answer
    await page.clock.install()
    await page.route_web_socket(lambda url: url.startswith(target.url), backend.connect)
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    anna = ChatPane(page, pair.first)
    await anna.expect_state("Connected")
    for seconds, until in ((5, 101), (240, 201), (240, 301)):
        await page.clock.run_for(seconds * 1000)
        await expect(anna.message(f"at {until}")).to_be_visible()
    catch_ups = [frame for frame in backend.questions if "since" in frame]
    assert [frame["since"] for frame in catch_ups] == [1, 101, 201]
    assert {frame["action"] for frame in catch_ups} == {"getmessages"}
    assert backend.frames == []
    assert backend.since_values == [0]


async def test_connection_that_does_not_answer_is_replaced(
    page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    await page.clock.install()
    await page.route_web_socket(lambda url: url.startswith(target.url), backend.connect)
    await page.goto(f"{target.page}?me={pair.first}&with={pair.second}")
    anna = ChatPane(page, pair.first)
    await anna.expect_state("Connected")
    backend.on_question = lambda _: []
    await page.clock.run_for(5000)
    assert len(backend.since_values) == 1
    await page.clock.run_for(12_000)
    await expect(anna.region.get_by_text("Reconnecting in")).to_be_visible()
    backend.on_question = lambda frame: [no_messages(frame)]
    await page.clock.run_for(1000)
    await anna.expect_state("Connected")
    assert len(backend.since_values) == 2


async def test_catch_up_is_asked_for_again_after_a_transient_error(
    anna: ChatPane, backend: ScriptedBackend
) -> None:
    def answer(frame: dict[str, Any]) -> list[Any]:
        if len([each for each in backend.questions if "since" in each]) == 1:
            return [
                {
                    "type": "error", "action": "getmessages", "code": "unavailable",
                    "message": "Busy.", "clientMessageId": frame["clientMessageId"],
                }
            ]  # fmt: skip
        return [no_messages(frame)]

    backend.on_connect = lambda _: [synced_frame(7, complete=False)]
    backend.on_question = answer
    await start_chat(anna)
    await anna.expect_state("Connected")
    assert [frame["since"] for frame in backend.questions if "since" in frame] == [7, 7]


@pytest_asyncio.fixture(loop_scope="session")
async def module_page(page: Page, target: Target, backend: ScriptedBackend) -> Page:
    """A page that uses the module without the user interface."""
    await page.route_web_socket(lambda url: url.startswith(target.url), backend.connect)
    await page.goto(str(target.page))
    return page


async def test_token_function_is_called_again_after_it_throws(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    states, offered = await module_page.evaluate(
        """async ([url, userId]) => {
          const { ChatClient } = await import("/protocol.js");
          const states = [];
          const offered = [];
          class Recording extends WebSocket {
            constructor(address, protocols) {
              super(address, protocols);
              offered.push(protocols);
            }
          }
          let asked = 0;
          const token = async () => {
            asked += 1;
            if (asked === 1) throw new TypeError("Failed to fetch");
            return "e30.e30.e30";
          };
          const client = new ChatClient({ url, userId, token, WebSocket: Recording });
          await new Promise((resolve) => {
            client.addEventListener("state", ({ detail: { name, error } }) => {
              states.push(error ? `${name}: ${error.code}` : name);
              if (name === "connected" || name === "offline") resolve();
            });
            client.connect();
          });
          return [states, offered];
        }""",
        [target.url, pair.first],
    )
    assert states == ["connecting", "waiting: no_token", "connecting", "catching-up", "connected"]
    assert offered == [["bearer", "e30.e30.e30"]]
    # With both, the backend refuses a token that is not this user's.
    assert backend.queries == [{"userId": [pair.first], "since": ["0"]}]


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


WAKE_UPS = {
    "online": "window.dispatchEvent(new Event('online'))",
    "pageshow": "window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))",
    "visibilitychange": "document.dispatchEvent(new Event('visibilitychange'))",
}


@pytest.mark.parametrize("wake_up", WAKE_UPS.values(), ids=WAKE_UPS)
async def test_client_that_waits_reconnects_at_once_when_it_wakes_up(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend, wake_up: str
) -> None:
    await module_page.clock.install()
    await connect_client(module_page, target, pair)
    await module_page.clock.pause_at(await module_page.evaluate("Date.now() / 1000 + 1"))
    assert backend.socket is not None
    await backend.socket.close(code=1000)
    await module_page.wait_for_function("client.state.name === 'waiting'", polling=10)
    await module_page.evaluate(wake_up)
    await module_page.wait_for_function("client.state.name === 'connected'", polling=10)
    assert len(backend.since_values) == 2


@pytest.mark.parametrize(
    "event", [*WAKE_UPS.values(), "window.dispatchEvent(new Event('offline'))"],
    ids=[*WAKE_UPS, "offline"],
)  # fmt: skip
async def test_dead_connection_is_given_up_five_seconds_after_an_event_of_the_platform(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend, event: str
) -> None:
    await module_page.clock.install()
    await connect_client(module_page, target, pair)
    await module_page.clock.pause_at(await module_page.evaluate("Date.now() / 1000 + 1"))
    backend.on_question = lambda _: []
    await module_page.evaluate(event)
    await module_page.clock.run_for(4_900)
    assert await module_page.evaluate("client.state.name") == "connected"
    await module_page.clock.run_for(100)
    assert await module_page.evaluate("client.state.name") == "waiting"


@pytest.mark.parametrize("wake_up", WAKE_UPS.values(), ids=WAKE_UPS)
async def test_connection_that_answers_after_a_wake_up_is_kept(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend, wake_up: str
) -> None:
    await module_page.clock.install()
    await connect_client(module_page, target, pair)
    await module_page.clock.pause_at(await module_page.evaluate("Date.now() / 1000 + 1"))
    await module_page.evaluate(
        f"""() => {{
          const synced = new Promise((resolve) => client.addEventListener("synced", resolve));
          {wake_up};
          return synced;
        }}"""
    )
    await module_page.clock.run_for(10_000)
    assert await module_page.evaluate("client.state.name") == "connected"
    assert len(backend.since_values) == 1


async def test_client_that_is_disconnected_ignores_a_wake_up(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    await connect_client(module_page, target, pair)
    await module_page.evaluate("client.disconnect()")
    for wake_up in WAKE_UPS.values():
        await module_page.evaluate(wake_up)
    assert await module_page.evaluate("client.state.name") == "offline"
    assert len(backend.since_values) == 1


async def test_upload_that_makes_no_progress_is_tried_again(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    backend.on_frame = lambda frame: [upload_frame(frame, target)]
    await module_page.clock.install()
    await connect_client(module_page, target, pair)
    await module_page.clock.pause_at(await module_page.evaluate("Date.now() / 1000 + 1"))
    await module_page.evaluate(
        """(chatId) => {
          globalThis.puts = 0;
          // The first makes progress for a minute, and then stalls; the second gets through.
          globalThis.XMLHttpRequest = class extends EventTarget {
            upload = new EventTarget();
            status = 200;
            open() {}
            setRequestHeader() {}
            abort() { this.dispatchEvent(new Event("abort")); }
            send() {
              puts += 1;
              if (puts === 2) this.dispatchEvent(new Event("load"));
              const progress = () => {
                const part = Object.assign(new Event("progress"), { loaded: 1, total: 2 });
                this.upload.dispatchEvent(part);
              };
              for (const seconds of [20, 40, 60]) setTimeout(progress, seconds * 1000);
            }
          };
          globalThis.upload = client.upload(chatId, new File(["x"], "notes.txt"));
        }""",
        pair.chat_id,
    )
    await module_page.wait_for_function("puts === 1", polling=10)
    await module_page.clock.run_for(89_900)
    assert await module_page.evaluate("puts") == 1
    await module_page.clock.run_for(100)
    await module_page.clock.run_for(1_000)  # the backoff
    assert await module_page.evaluate("upload") == "k/notes.txt"
    assert await module_page.evaluate("puts") == 2


async def test_client_asks_again_where_the_catch_up_of_the_handshake_does_not_end(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    backend.on_connect = lambda _: []
    await anna.page.clock.install()
    await start_chat(anna)
    for number in range(1, 4):
        # Each frame of the catch-up may be followed by another.
        await anna.page.clock.run_for(3000)
        backend.push(messages_frame(message_frame(pair, number)))
        await expect(anna.message(f"at {number}")).to_be_visible()
        await anna.expect_state("Catching up")
    await anna.page.clock.run_for(5000)
    await anna.expect_state("Connected")
    assert backend.since_values == [0]


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


async def test_full_storage_shows_an_alert_and_the_message_is_sent(
    anna: ChatPane, backend: ScriptedBackend
) -> None:
    backend.on_frame = lambda frame: [ack_frame(frame)]
    await start_chat(anna)
    await anna.expect_state("Connected")
    await anna.page.evaluate(
        """() => {
          Storage.prototype.setItem = () => {
            throw new DOMException("Full", "QuotaExceededError");
          };
        }"""
    )
    await anna.send("Hello!")
    await expect(anna.message("Hello!")).to_contain_text("Delivered")
    full = anna.region.get_by_role("alert").filter(has_text="no more room")
    await expect(full).to_be_visible()
    await anna.text_input.press_sequentially("typing")
    await expect(full).to_be_visible()


async def test_malformed_stored_data_is_ignored(anna: ChatPane, backend: ScriptedBackend) -> None:
    await start_chat(anna)
    await anna.expect_state("Connected")
    await anna.page.evaluate(
        """() => {
          const until = Object.keys(localStorage).find((key) => key.endsWith("/until"));
          localStorage.setItem(until, "1e99");
          const root = until.slice(0, -"until".length);
          ["null", "7", "[]", "{}", "not JSON"].forEach((value, number) => {
            localStorage.setItem(`${root}outbox/${number}`, value);
            localStorage.setItem(`${root}chat/a%23${number}`, value);
          });
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


def receipt_frame(pair: Pair, **times: int) -> dict[str, Any]:
    return {"type": "receipt", "chatId": pair.chat_id, "userId": pair.second, **times}


async def test_receipts_in_any_order_move_ticks_forward_only(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    sent = [message_frame(pair, time, senderId=pair.first) for time in (10, 20, 30, 40)]
    page = history_frame(pair.chat_id, *sent)
    backend.on_question = lambda frame: [
        page | {"receipts": {pair.second: {"read": 10}}} if "chatId" in frame else synced_frame(1)
    ]
    await start_chat(anna)
    statuses = anna.messages.locator(".status")
    await expect(statuses).to_have_text(["Read", "Sent", "Sent", "Sent"])
    backend.push(receipt_frame(pair, received=30, read=20))
    await expect(statuses).to_have_text(["Read", "Read", "Delivered", "Sent"])
    backend.push(
        receipt_frame(pair, received=20),
        receipt_frame(pair, received=10, read=10),
        receipt_frame(pair, received=40),
    )
    await expect(statuses).to_have_text(["Read", "Read", "Delivered", "Delivered"])
    # After a reconnection, the history may be older than what was pushed.
    backend.on_connect = lambda number: [synced_frame(number), receipt_frame(pair, read=30)]
    await anna.button("Go offline").click()
    await anna.button("Go online").click()
    await expect(statuses).to_have_text(["Read", "Read", "Read", "Delivered"])


CLIENT = """([url, userId, chatId, signals]) => import("/protocol.js").then(({ ChatClient }) => {
  globalThis.signals = signals;
  globalThis.client = new ChatClient({ url, userId, signals });
  globalThis.errors = [];
  client.addEventListener("error", ({ detail }) => errors.push(detail.code));
  globalThis.connected = () => new Promise((resolve) => {
    client.addEventListener("state", ({ detail }) => detail.name === "connected" && resolve());
    client.connect();
  });
  return connected();
})"""


async def connect_client(page: Page, target: Target, pair: Pair, **signals: bool) -> None:
    """Connect a client, as the global `client`."""
    await page.evaluate(CLIENT, [target.url, pair.first, pair.chat_id, signals])


async def catch_up(page: Page) -> None:
    """Ask what was missed; the answer comes after those to all frames before."""
    await page.evaluate(
        """() => {
          const synced = new Promise((resolve) => client.addEventListener("synced", resolve));
          client.checkConnection();
          return synced;
        }"""
    )


def sent_signals(backend: ScriptedBackend) -> list[tuple[str, str, Any]]:
    """Return the chat, the name and the value of each signal."""
    return [
        (frame["chatId"], name, frame[name])
        for frame in backend.signals
        for name in ("received", "read", "typing")
        if name in frame
    ]


async def test_received_is_sent_once_for_each_chat_of_a_catch_up_and_not_for_a_push(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    zoe = Pair(pair.first, "zoe")
    backend.on_connect = lambda _: [
        messages_frame(message_frame(pair, 10), message_frame(zoe, 15)),
        messages_frame(message_frame(pair, 20)),
        message_frame(pair, 30),
        synced_frame(25),
        messages_frame(message_frame(pair, 20), message_frame(pair, 22)),  # the second look
        messages_frame(message_frame(zoe, 40), message_frame(pair, 30)),
    ]
    backend.on_question = lambda _: [messages_frame(message_frame(pair, 50)), synced_frame(60)]
    await connect_client(module_page, target, pair)
    expected = [(pair.chat_id, "received", 20), (zoe.chat_id, "received", 15)]
    assert sent_signals(backend)[:2] == expected
    await catch_up(module_page)
    expected += [
        (pair.chat_id, "received", 22),
        (zoe.chat_id, "received", 40),
        (pair.chat_id, "received", 50),
    ]
    assert sent_signals(backend) == expected


async def test_receipt_is_sent_again_by_the_next_connection_until_it_is_acknowledged(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    def refusal(frame: dict[str, Any], code: str) -> dict[str, Any]:
        return {
            "type": "error", "action": "sendmessage", "code": code, "message": "No.",
            "clientMessageId": frame["clientMessageId"],
        }  # fmt: skip

    def answer(frame: dict[str, Any]) -> list[Any]:
        if "received" in frame:
            return [refusal(frame, "forbidden")]
        if len(backend.since_values) == 1:
            return [refusal(frame, "unavailable")]
        ack = {"type": "ack", "action": "sendmessage", "chatId": frame["chatId"]}
        return [ack | {"read": frame["read"]}] if len(backend.since_values) == 3 else []

    backend.on_signal = answer
    await connect_client(module_page, target, pair)
    await module_page.evaluate(
        """(chatId) => {
          globalThis.item = client.send({ chatId, text: "in flight" });
          client.markReceived(chatId, 20);
          for (const timestamp of [30, 10, 30]) client.markRead(chatId, timestamp);
          client.markReceived(chatId, 25);
        }""",
        pair.chat_id,
    )
    for _ in range(3):
        await catch_up(module_page)
        await module_page.evaluate("client.disconnect(); connected()")
    assert await module_page.evaluate("[item.status, errors.length]") == ["queued", 0]
    assert sent_signals(backend) == [
        (pair.chat_id, "received", 20),
        *[(pair.chat_id, "read", 30)] * 3,
    ]


async def test_typing_is_sent_every_four_seconds_at_most_and_anew_after_each_message(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend
) -> None:
    await module_page.clock.install()
    await connect_client(module_page, target, pair)
    await module_page.clock.pause_at(await module_page.evaluate("Date.now() / 1000 + 1"))
    type_key = "(chatId) => client.markTyping(chatId)"
    for _ in range(8):  # seconds: at 0 and at 4
        await module_page.evaluate(type_key, pair.chat_id)
        await module_page.clock.run_for(1000)
    await module_page.evaluate(
        "(chatId) => { client.send({ chatId, text: 'Hello!' }); }", pair.chat_id
    )
    for _ in range(3):  # seconds: not at 0 and 1, but at 2
        await module_page.evaluate(type_key, pair.chat_id)
        await module_page.clock.run_for(1000)
    await catch_up(module_page)
    assert sent_signals(backend) == [(pair.chat_id, "typing", True)] * 3


@pytest.mark.parametrize("signal", ["received", "read", "typing"])
async def test_option_turns_a_signal_off_and_on(
    module_page: Page, target: Target, pair: Pair, backend: ScriptedBackend, signal: str
) -> None:
    await connect_client(module_page, target, pair, **{signal: False})
    send_all = """(chatId) => {
      client.markReceived(chatId, 10);
      client.markRead(chatId, 20);
      client.markTyping(chatId);
    }"""
    await module_page.evaluate(send_all, pair.chat_id)
    await catch_up(module_page)
    names = {name for _, name, _ in sent_signals(backend)}
    assert names == {"received", "read", "typing"} - {signal}
    await module_page.evaluate("(name) => { signals[name] = true; }", signal)
    await module_page.evaluate(send_all.replace("10", "30").replace("20", "40"), pair.chat_id)
    await catch_up(module_page)
    assert signal in {name for _, name, _ in sent_signals(backend)}


async def test_typing_is_shown_in_its_chat_and_not_to_the_user_who_types(
    anna: ChatPane, pair: Pair, backend: ScriptedBackend
) -> None:
    def typing(chat_id: str, user_id: str) -> dict[str, Any]:
        return {"type": "typing", "chatId": chat_id, "userId": user_id}

    zoe = Pair(pair.first, "zoe")
    await anna.page.clock.install()
    await start_chat(anna)
    await anna.expect_state("Connected")
    backend.push(
        message_frame(zoe, 5),
        typing(pair.chat_id, pair.first),  # on another device
        typing(zoe.chat_id, "zoe"),  # sent before the message, and late
    )
    await expect(anna.region.get_by_role("button", name="zoe")).to_contain_text("1 new")
    shown = anna.region.get_by_text("is typing …")
    await anna.page.clock.run_for(1000)
    backend.push(typing(zoe.chat_id, "zoe"), message_frame(pair, 6))
    await anna.expect_messages("at 6")
    await expect(shown).to_have_count(0)
    await anna.region.get_by_role("button", name="zoe").click()
    await expect(shown).to_have_text("zoe is typing …")
