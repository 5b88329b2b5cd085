"""Random frames, handshakes and events: each answer is well-formed and shows no internals."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support import events
from tests.support.backend import Backend, Container

CHAT = "user123#user456"

STATUS_BY_CODE = {
    "invalid_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "too_large": 413,
    "unsupported_type": 415,
    "internal": 500,
    "unavailable": 503,
}
# Parts of exceptions and tracebacks.
INTERNALS = ["Traceback", "Error(", "Exception", ".py", "object has no", "KeyError", "botocore"]

fuzz = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# JSON can spell half of a surrogate pair, which is not a character.
characters = st.one_of(
    st.characters(codec=None),
    st.sampled_from("\0\ud800\udfff\u202e\u2066\u200f\u2028\ufeff\uffff😀éa1#/\\. \n\x7f"),
)
texts = st.text(characters, max_size=20)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
chat_ids = st.sampled_from(
    [CHAT, "user456#user123", "user123#user123", "user456#user789", "user123", "#", CHAT + "#"]
)
file_keys = st.builds(lambda start, rest: f"{start}/{rest}", chat_ids, texts)
fields: Mapping[Any, Any] = {
    "action": st.sampled_from(["sendmessage", "sendfile"]) | anything,
    "chatId": chat_ids | anything,
    "text": texts | anything,
    "fileKey": file_keys | anything,
    "fileName": texts | anything,
    "contentType": st.just("image/jpeg") | anything,
    "size": st.integers() | anything,
    "clientMessageId": texts | anything,
    "senderId": anything,
}
frames = st.fixed_dictionaries({}, optional=fields)
# As Python writes JSON: with NaN and Infinity, too.
bodies = st.one_of(
    frames.map(json.dumps), anything.map(json.dumps), frames.map(str), texts, st.just("")
)
queries = st.dictionaries(
    st.sampled_from(["userId", "since", "token"]) | texts,
    st.sampled_from(["user123", "0", "1764000000000"]) | texts,
    max_size=4,
)
headers = st.dictionaries(st.sampled_from(["Authorization", "authorization"]) | texts, texts)
contexts = st.fixed_dictionaries(
    {},
    optional={
        "connectionId": anything,
        "requestId": anything,
        "messageId": anything,
        "routeKey": anything,
        "connectedAt": anything,
        "requestTimeEpoch": anything,
        "authorizer": anything,
        "disconnectReason": anything,
    },
)
random_events = anything | st.fixed_dictionaries(
    {},
    optional={
        "requestContext": contexts | anything,
        "body": bodies | anything,
        "queryStringParameters": queries | anything,
        "headers": headers | anything,
        "catchUp": anything,
    },
)


def status_of(reply: Any) -> int:
    """Check that a reply is well-formed, and return its status."""
    assert isinstance(reply, dict)
    assert reply.keys() <= {"statusCode", "body"}
    status = reply["statusCode"]
    assert isinstance(status, int)
    if "body" not in reply:
        assert status == 200
        return 200
    frame = json.loads(reply["body"])
    assert frame["type"] in {"ack", "upload", "download", "error"}
    assert None not in frame.values()
    if frame["type"] == "error":
        assert STATUS_BY_CODE[frame["code"]] == status
        assert frame["message"]
        for internal in INTERNALS:
            assert internal not in frame["message"]
    else:
        assert status == 200
    return status


@pytest.fixture
def sender(backend: Backend) -> str:
    return backend.connect("user123")


@given(body=bodies)
@example(body="[" * 100_000)
@example(body='{"a":' * 30_000)
@example(body='{"action":"sendmessage","text":' + "[" * 60_000 + "]" * 60_000 + "}")
@example(body="1" * 100_000)
@example(body='{"size":1e400}')
@example(body='{"chatId":"user123#user456","text":"a","text":"b"}')
@fuzz
def test_random_body_is_never_an_internal_error(backend: Backend, sender: str, body: str) -> None:
    for function in (backend.send_message, backend.send_file):
        event = events.message(sender, {"action": "sendmessage"}) | {"body": body}
        assert status_of(function(event)) < 500


@given(query=queries, headers=headers)
@example(query={"userId": "user123", "since": "9" * 4000}, headers={})
@fuzz
def test_random_handshake_is_never_an_internal_error(
    backend: Backend, query: dict[str, str], headers: dict[str, str]
) -> None:
    event = events.connect(events.new_id(), query, headers=headers)
    assert status_of(backend.on_connect(event)) < 500


@given(code=st.integers(1000, 4999), reason=texts)
@fuzz
def test_random_close_code_and_reason_are_accepted(
    backend: Backend, code: int, reason: str
) -> None:
    event = events.disconnect(events.new_id(), code=code, reason=reason)
    assert status_of(backend.on_disconnect(event)) == 200


@pytest.mark.parametrize("folder", ["on_connect", "on_disconnect", "send_message", "send_file"])
@given(event=random_events)
@example(event=None)
@example(event=[])
@example(event="catchUp")
@example(event={"catchUp": {}})
@example(event={"requestContext": None})
@example(event={"requestContext": {"messageId": 1, "routeKey": {}, "connectionId": "x"}})
@fuzz
def test_random_event_gets_a_well_formed_answer(backend: Backend, folder: str, event: Any) -> None:
    function: Container = getattr(backend, folder)
    status_of(function(event))
