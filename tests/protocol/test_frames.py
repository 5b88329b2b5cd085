"""The schemas and the functions say the same of every frame and every handshake, at each limit."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import document, events
from tests.support.backend import Backend
from tests.support.document import CHAT, SCHEMAS
from tests.support.network import Fault, denied, throttled

ME = "user123"
CHAT_ID = f"{ME}#user456"
THEN = 1764000000000
FOLDER = "0ed1a8c2-9d5f-4a43-8a8e-000000000001"
KEY = f"{CHAT_ID}/{FOLDER}/image.jpg"
MESSAGE: dict[str, Any] = {"action": "sendmessage", "chatId": CHAT_ID, "text": "Hello!"}
UPLOAD: dict[str, Any] = {
    "action": "sendfile",
    "chatId": CHAT_ID,
    "fileName": "image.jpg",
    "contentType": "image/jpeg",
}
DOWNLOAD: dict[str, Any] = {"action": "sendfile", "chatId": CHAT_ID, "fileKey": KEY}
PAGE: dict[str, Any] = {"action": "getmessages", "chatId": CHAT_ID}
CATCH_UP: dict[str, Any] = {"action": "getmessages", "since": THEN}
RECEIVED: dict[str, Any] = {"action": "sendmessage", "chatId": CHAT_ID, "received": THEN}
READ: dict[str, Any] = {"action": "sendmessage", "chatId": CHAT_ID, "read": THEN}
TYPING: dict[str, Any] = {"action": "sendmessage", "chatId": CHAT_ID, "typing": True}
LONG_KEY = f"{CHAT_ID}/{FOLDER}/".ljust(1024, "x")

NOT_IN_A_NAME = (
    "/\\\0\x1f\x7f\x9f\n\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)

RIGHT: list[dict[str, Any]] = [
    MESSAGE,
    UPLOAD,
    DOWNLOAD,
    MESSAGE | {"text": "x"},
    MESSAGE | {"text": "😀" * 4096},
    MESSAGE | {"text": " x"},
    MESSAGE | {"text": "\u202ea\x01"},
    MESSAGE | {"text": "👩\u200d💻"},
    MESSAGE | {"text": "❤\ufe0f"},
    MESSAGE | {"fileKey": None, "clientMessageId": None, "typing": None},
    MESSAGE | {"text": None, "fileKey": KEY},
    MESSAGE | {"clientMessageId": "c"},
    MESSAGE | {"clientMessageId": "😀" * 128},
    MESSAGE | {"clientMessageId": " "},
    MESSAGE | {"chatId": f"user456#{ME}"},
    MESSAGE | {"chatId": f"{ME}#{'x' * 128}"},
    MESSAGE | {"chatId": f"{ME}#.A9_@+=:|-'~"},
    MESSAGE | {"chatId": f"{ME}#{ME}4"},
    MESSAGE | {"fileKey": KEY},
    MESSAGE | {"fileKey": LONG_KEY},
    MESSAGE | {"text": "x", "fileName": 1, "unknown": None, "senderId": "somebody"},
    UPLOAD | {"fileName": "x"},
    UPLOAD | {"fileName": "x" * 255},
    UPLOAD | {"fileName": "é" * 255},
    UPLOAD | {"fileName": "..."},
    UPLOAD | {"fileName": ".x"},
    UPLOAD | {"fileName": " "},
    UPLOAD | {"fileName": "\u200f\u200d\ufeff\u00a0"},
    UPLOAD | {"size": 0},
    UPLOAD | {"size": 26_214_400},
    UPLOAD | {"size": 48213.0},
    UPLOAD | {"size": None, "fileKey": None},
    UPLOAD | {"contentType": "IMAGE/JPEG"},
    UPLOAD | {"contentType": "image/jpg"},
    UPLOAD | {"contentType": "text/plain; charset=utf-8"},
    UPLOAD | {"contentType": "audio/webm;codecs=opus"},
    UPLOAD | {"text": 1, "unknown": None},
    DOWNLOAD | {"fileKey": LONG_KEY},
    DOWNLOAD | {"contentType": 1, "size": -1},
    PAGE,
    PAGE | {"chatId": f"user456#{ME}"},
    PAGE | {"limit": 1},
    PAGE | {"limit": 100},
    PAGE | {"before": 0},
    PAGE | {"before": 10**16 - 1},
    PAGE | {"limit": 1.0, "before": None, "since": None},
    PAGE | {"limit": None, "before": 1764000000000.0},
    PAGE | {"text": 1, "unknown": None},
    CATCH_UP,
    CATCH_UP | {"since": 0},
    CATCH_UP | {"since": 10**16 - 1},
    CATCH_UP | {"since": 1764000000000.0},
    CATCH_UP | {"limit": 0, "before": "x"},
    RECEIVED,
    RECEIVED | {"received": 0},
    RECEIVED | {"clientMessageId": 1, "unknown": None},
    READ,
    READ | {"chatId": f"user456#{ME}"},
    TYPING,
]
WRONG: list[dict[str, Any]] = [
    {"action": "sendmessage"},
    {"action": "sendfile"},
    {"action": "sendmessage", "chatId": CHAT_ID},
    {"action": "sendmessage", "text": "x"},
    MESSAGE | {"text": None},
    MESSAGE | {"text": 1},
    MESSAGE | {"text": ""},
    MESSAGE | {"text": " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u00a0\u2028\u3000"},
    MESSAGE | {"text": "\u200b\u200d\u2060\ufeff\u00ad\u3164\u2800\ufe0f\u034f\u0007"},
    MESSAGE | {"text": "x" * 4097},
    MESSAGE | {"text": "a\0b"},
    MESSAGE | {"fileKey": ""},
    MESSAGE | {"fileKey": LONG_KEY + "x"},
    MESSAGE | {"fileKey": "image.jpg"},
    MESSAGE | {"fileKey": f"user123#user123/{FOLDER}/image.jpg"},
    MESSAGE | {"fileKey": f"{CHAT_ID}/{FOLDER}/.."},
    MESSAGE | {"fileKey": f"{CHAT_ID}/{FOLDER}/"},
    MESSAGE | {"fileKey": f"{CHAT_ID}/{FOLDER}/a/b"},
    MESSAGE | {"fileKey": f"{CHAT_ID}/{FOLDER.upper()}/a"},
    MESSAGE | {"fileKey": f"{CHAT_ID}/{FOLDER}/a\n"},
    MESSAGE | {"clientMessageId": ""},
    MESSAGE | {"clientMessageId": "x" * 129},
    MESSAGE | {"clientMessageId": "a\0b"},
    MESSAGE | {"chatId": f"{ME}#{'x' * 129}"},
    MESSAGE | {"chatId": f"{ME}#"},
    MESSAGE | {"chatId": f"#{ME}"},
    MESSAGE | {"chatId": ME},
    MESSAGE | {"chatId": f"{ME}#{ME}"},
    MESSAGE | {"chatId": f"{ME}#a#b"},
    MESSAGE | {"chatId": f"{ME}#ä"},
    MESSAGE | {"chatId": f"{CHAT_ID}\n"},
    MESSAGE | {"chatId": None},
    {"action": "sendfile", "chatId": CHAT_ID, "fileName": "image.jpg"},
    {"action": "sendfile", "chatId": CHAT_ID, "contentType": "image/jpeg"},
    UPLOAD | {"fileName": ""},
    UPLOAD | {"fileName": "x" * 256},
    UPLOAD | {"fileName": "."},
    UPLOAD | {"fileName": ".."},
    UPLOAD | {"fileName": 1},
    *(UPLOAD | {"fileName": f"a{character}b"} for character in NOT_IN_A_NAME),
    UPLOAD | {"fileName": "a\n"},
    UPLOAD | {"contentType": ""},
    UPLOAD | {"contentType": None},
    UPLOAD | {"contentType": "image"},
    UPLOAD | {"contentType": "image/" + "x" * 250},
    UPLOAD | {"size": -1},
    UPLOAD | {"size": 0.5},
    UPLOAD | {"size": True},
    UPLOAD | {"size": "1"},
    UPLOAD | {"size": 5_368_709_121},
    UPLOAD | {"fileKey": KEY},
    DOWNLOAD | {"fileKey": LONG_KEY + "x"},
    DOWNLOAD | {"fileKey": 1},
    {"action": "getmessages"},
    PAGE | CATCH_UP,
    PAGE | {"chatId": ME},
    PAGE | {"chatId": None},
    PAGE | {"limit": 0},
    PAGE | {"limit": 101},
    PAGE | {"limit": "50"},
    PAGE | {"limit": 0.5},
    PAGE | {"limit": True},
    PAGE | {"before": -1},
    PAGE | {"before": 0.5},
    PAGE | {"before": "0"},
    PAGE | {"before": 10**16},
    CATCH_UP | {"since": -1},
    CATCH_UP | {"since": 0.5},
    CATCH_UP | {"since": "0"},
    CATCH_UP | {"since": None},
    CATCH_UP | {"since": False},
    CATCH_UP | {"since": 10**16},
    RECEIVED | READ,
    RECEIVED | TYPING,
    RECEIVED | MESSAGE,
    READ | MESSAGE,
    TYPING | MESSAGE,
    TYPING | {"fileKey": KEY},
    RECEIVED | {"received": -1},
    RECEIVED | {"received": 0.5},
    RECEIVED | {"received": "0"},
    RECEIVED | {"received": None},
    READ | {"read": True},
    READ | {"read": 10**16},
    READ | {"chatId": ME},
    TYPING | {"typing": False},
    TYPING | {"typing": 1},
    TYPING | {"typing": None},
]
# What the document says in words, because no schema can.
IN_WORDS: list[tuple[str, str]] = [
    (json.dumps(MESSAGE | {"chatId": "user456#user789"}), "forbidden"),
    (json.dumps(MESSAGE | {"fileKey": KEY.replace("user456", "user789")}), "forbidden"),
    (json.dumps(MESSAGE | {"fileKey": KEY}), "not_found"),
    (json.dumps(UPLOAD | {"fileName": "😀" * 255}), "invalid_request"),
    (json.dumps(MESSAGE | {"text": "\U000e0041\U000e007f"}), "invalid_request"),
    (json.dumps(PAGE | {"chatId": "user456#user789"}), "forbidden"),
    (json.dumps(READ | {"read": 10**16 - 1}), "invalid_request"),
    (json.dumps(READ | {"chatId": f"{ME}#user789"}), "forbidden"),
    (json.dumps(TYPING | {"chatId": "user456#user789"}), "forbidden"),
    (json.dumps(UPLOAD | {"size": 26_214_401}), "too_large"),
    (json.dumps(UPLOAD | {"contentType": "text/html"}), "unsupported_type"),
    (json.dumps(MESSAGE)[:-1] + ',"text":"x"}', "invalid_request"),
    (json.dumps(MESSAGE | {"text": "\ud800"}), "invalid_request"),
]


@pytest.fixture
def me(backend: Backend) -> str:
    """A connection of a user whose chat has a message."""
    connection_id = backend.connect(ME)
    backend.say(connection_id, CHAT_ID, "x", at=THEN)
    return connection_id


def answer(backend: Backend, me: str, frame: object) -> dict[str, Any]:
    received = backend.send(me, frame)
    document.expect_known(received)
    return received


def is_taken(answer: dict[str, Any]) -> bool:
    """Say whether a frame was of the agreed form, be there such a file or not."""
    return answer.get("code") in {None, "not_found"}


@pytest.mark.parametrize("frame", RIGHT)
def test_frame_that_the_schemas_allow_is_accepted(
    backend: Backend, me: str, frame: dict[str, Any]
) -> None:
    assert document.allows(json.dumps(frame))
    assert is_taken(answer(backend, me, frame))


@pytest.mark.parametrize("frame", WRONG)
def test_frame_that_the_schemas_forbid_is_refused(
    backend: Backend, me: str, frame: dict[str, Any]
) -> None:
    assert not document.allows(json.dumps(frame))
    assert answer(backend, me, frame)["type"] == "error"


@pytest.mark.parametrize(("body", "code"), IN_WORDS)
def test_rule_that_no_schema_can_express_is_in_the_description(
    backend: Backend, me: str, body: str, code: str
) -> None:
    assert document.named("ClientFrame").is_valid(json.loads(body))
    event = events.message(me, {"action": json.loads(body)["action"]}) | {"body": body}
    function = backend.send_file if '"sendfile"' in body else backend.send_message
    error = backend.frame_of(function(event))
    assert error["code"] == code
    document.expect_known(error)
    said = document.DOCUMENT["info"]["description"].partition("cannot say")[2]
    assert code in said


# Near what is allowed: a right frame, one or two of whose fields are at a limit, a step next to it,
# or of another kind, or not there. More would hide each other.
characters = st.sampled_from("a .#/\\\0\n\x1f\x7f\x85\u00a0\u2028\u202e\u2066\u200f\ufeff\ufffdé😀")
others: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, 1, [], {}, ["x"]])


def near(longest: int) -> st.SearchStrategy[str]:
    """Give texts of about this length, and of about none, some with a character that is special."""
    lengths = st.sampled_from([longest - 1, longest, longest + 1])
    return st.one_of(
        lengths.map(lambda length: "x" * length),
        st.text(characters, max_size=2),
        characters.map(lambda special: f"a{special}b"),
    )


user_ids = st.sampled_from(["user456", ".", "Z9._@+=:|-'~"]) | near(128)
chat_ids = st.one_of(
    user_ids.map(lambda other: f"{ME}#{other}"), user_ids.map(lambda other: f"{other}#{ME}")
)
in_the_folder = f"{CHAT_ID}/{FOLDER}/"
keys = st.one_of(
    near(1024 - len(in_the_folder)).map(lambda name: in_the_folder + name),
    st.tuples(chat_ids, st.sampled_from([FOLDER, FOLDER.upper(), ""])).map("/".join),
)
types = [
    "image/jpeg",
    "Image/JPEG",
    "image/jpeg;q=1",
    "image/jpg",
    "image/jpeg\n",
    "text/html",
    "x",
    "/",
    "",
]
sizes = [0, 1, 1.0, 26_214_400, 26_214_401, 5_368_709_120, 5_368_709_121, -1, 0.5]
times = [-1, 0, 10**16 - 1, 10**16, 0.5, "1"]
fields: dict[str, st.SearchStrategy[Any]] = {
    "chatId": chat_ids,
    "text": near(4096),
    "clientMessageId": near(128),
    "fileKey": keys,
    "fileName": near(255),
    "contentType": st.sampled_from(types),
    "size": st.sampled_from(sizes),
    "limit": st.sampled_from([0, 1, 100, 101, 0.5, "1"]),
    "received": st.sampled_from([-1, 0, THEN, 0.5, "1"]),
    "read": st.sampled_from([-1, 0, THEN, 0.5, "1"]),
    "typing": st.sampled_from([True, False, 1]),
    "before": st.sampled_from(times),
    "since": st.sampled_from(times),
}


@st.composite
def frames(draw: st.DrawFn) -> dict[str, Any]:
    frame = dict(
        draw(st.sampled_from([MESSAGE, UPLOAD, DOWNLOAD, PAGE, CATCH_UP, RECEIVED, READ, TYPING]))
    )
    for name in draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=2)):
        kind = draw(st.integers(0, 9))
        if kind == 0:
            frame.pop(name, None)
        else:
            frame[name] = draw(others if kind == 1 else fields[name])
    return frame


@given(frame=frames())
@settings(
    max_examples=600,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_schemas_and_functions_agree_near_the_limits(
    backend: Backend, me: str, frame: dict[str, Any]
) -> None:
    received = answer(backend, me, frame)
    if document.allows(json.dumps(frame)):
        assert received.get("code") != "invalid_request"
    else:
        assert received["type"] == "error"


def handshake(backend: Backend, query: dict[str, str], **more: Any) -> int:
    status: int = backend.on_connect(events.connect(events.new_id(), query, **more))["statusCode"]
    return status


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"userId": "x"}, 200),
        ({"userId": "x" * 128}, 200),
        ({"userId": "x" * 129}, 400),
        ({"userId": "aA9._@+=:|-'~"}, 200),
        ({"userId": "a#b"}, 400),
        ({"userId": "ä"}, 400),
        ({"userId": "a\n"}, 400),
        ({"userId": ""}, 401),
        ({"userId": ME, "since": "0"}, 200),
        ({"userId": ME, "since": "9" * 16}, 200),
        ({"userId": ME, "since": "9" * 17}, 400),
        ({"userId": ME, "since": ""}, 400),
        ({"userId": ME, "since": "-1"}, 400),
        ({"userId": ME, "since": "1.0"}, 400),
        ({"userId": ME, "since": "１"}, 400),
        ({"userId": ME, "since": "1\n"}, 400),
        ({"userId": ME, "unknown": "x"}, 200),
    ],
)
def test_schema_of_the_query_and_the_handshake_agree(
    backend: Backend, query: dict[str, str], status: int
) -> None:
    assert handshake(backend, query) == status
    assert document.validator(CHAT["bindings"]["ws"]["query"]).is_valid(query) is (status == 200)


def test_every_handshake_status_is_in_the_document(backend: Backend) -> None:
    ours = {
        handshake(backend, {"userId": "a#b"}),
        handshake(backend, {}),
        handshake(backend, {"userId": ME}, authorizer={"userId": "user456"}),
    }
    for action in (throttled, denied):
        with backend.wire.broken(Fault("dynamodb.PutItem", action)):
            ours.add(handshake(backend, {"userId": ME}))
    assert ours == {400, 401, 403, 500, 503}
    # What API Gateway says itself.
    assert {int(status) for status in CHAT["x-handshake"]} == ours | {101, 414, 429, 431, 502, 504}


def test_every_error_code_has_the_status_of_the_document(backend: Backend, me: str) -> None:
    """`IN_WORDS` has more ways to each of those that are the client's mistakes."""
    replies = [
        backend.reply_to(me, frame)
        for frame in (
            MESSAGE | {"text": ""},
            MESSAGE | {"chatId": "user456#user789"},
            MESSAGE | {"fileKey": KEY},
            UPLOAD | {"size": 26_214_401},
            UPLOAD | {"contentType": "text/html"},
        )
    ]
    replies.append(backend.reply_to(events.new_id(), MESSAGE))
    for action in (throttled, denied):
        with backend.wire.broken(Fault("dynamodb.PutItem", action)):
            replies.append(backend.reply_to(me, MESSAGE))
    statuses = {}
    for reply in replies:
        error = backend.frame_of(reply)
        document.expect_known(error)
        statuses[error["code"]] = reply["statusCode"]
    assert statuses == {each["const"]: each["x-status"] for each in SCHEMAS["ErrorCode"]["oneOf"]}
