"""Two users, as they would see it: through real sockets, real functions and real links."""

import contextlib

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.device import device
from tests.support.users import Pair


def test_two_users_exchange_messages(chat_url: str, pair: Pair) -> None:
    with device(chat_url, userId=pair.first) as here, device(chat_url, userId=pair.second) as there:
        ack = here.say(f"{pair.second}#{pair.first}", "Hello!")
        assert ack["type"] == "ack"
        assert (ack["chatId"], ack["delivered"]) == (pair.chat_id, 1)
        message = there.receive()
        assert message == {
            "type": "message",
            "messageId": ack["messageId"],
            "chatId": pair.chat_id,
            "senderId": pair.first,
            "recipientId": pair.second,
            "timestamp": ack["timestamp"],
            "text": "Hello!",
        }
        there.say(pair.chat_id, "😀 Hello yourself")
        answer = here.receive()
        assert (answer["senderId"], answer["text"]) == (pair.second, "😀 Hello yourself")
        assert answer["timestamp"] > message["timestamp"]


def test_every_device_of_both_users_gets_the_message(chat_url: str, pair: Pair) -> None:
    with contextlib.ExitStack() as stack:
        sender, tablet = (
            stack.enter_context(device(chat_url, userId=pair.first)) for _ in range(2)
        )
        recipients = [stack.enter_context(device(chat_url, userId=pair.second)) for _ in range(3)]
        assert sender.say(pair.chat_id, "Hello!")["delivered"] == 3
        for each in [tablet, *recipients]:
            assert each.receive()["text"] == "Hello!"


def test_device_that_disconnected_does_not_disturb_the_others(chat_url: str, pair: Pair) -> None:
    with device(chat_url, userId=pair.first) as here:
        with device(chat_url, userId=pair.second) as there:
            assert here.say(pair.chat_id, "1")["delivered"] == 1
            assert there.receive()["text"] == "1"
        assert here.say(pair.chat_id, "2")["delivered"] == 0


@pytest.mark.parametrize(
    ("query", "status"),
    [({}, 401), ({"userId": ""}, 401), ({"userId": "a#b"}, 400), ({"userId": "x" * 129}, 400)],
)
def test_malformed_user_id_is_refused_at_the_handshake(
    chat_url: str, query: dict[str, str], status: int
) -> None:
    with pytest.raises(InvalidStatus) as refusal, device(chat_url, **query):
        pass
    assert refusal.value.response.status_code == status


@pytest.mark.parametrize("frame", [{"action": "dance"}, {}, {"text": "Hello!"}, "hello", ""])
def test_frame_without_a_known_action_is_answered_by_api_gateway(
    chat_url: str, pair: Pair, frame: object
) -> None:
    with device(chat_url, userId=pair.first) as here:
        answer = here.ask(frame)
        assert answer["message"] == "Forbidden"
        assert answer.keys() == {"message", "connectionId", "requestId"}
        assert here.say(pair.chat_id, "still here")["type"] == "ack"


def test_user_outside_the_chat_is_refused(chat_url: str, pair: Pair) -> None:
    with (
        device(chat_url, userId=f"{pair.first}-x") as stranger,
        device(chat_url, userId=pair.second) as there,
        device(chat_url, userId=pair.first) as here,
    ):
        error = stranger.say(pair.chat_id, "psst")
        assert (error["type"], error["code"]) == ("error", "forbidden")
        here.say(pair.chat_id, "the first that arrives")
        assert there.receive()["text"] == "the first that arrives"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"text": ""}, "invalid_request"),
        ({"text": None}, "invalid_request"),
        ({"text": "x" * 4097}, "invalid_request"),
        ({"chatId": "nobody"}, "invalid_request"),
        ({"action": "sendfile", "fileName": "a", "contentType": "text/html"}, "unsupported_type"),
        (
            {"action": "sendfile", "fileName": "a", "contentType": "image/png", "size": 2**40},
            "too_large",
        ),
    ],
)
def test_error_says_what_to_change(
    chat_url: str, pair: Pair, changes: dict[str, object], code: str
) -> None:
    with device(chat_url, userId=pair.first) as here:
        frame = {"action": "sendmessage", "chatId": pair.chat_id, "text": "x"} | changes
        error = here.ask(frame)
        assert (error["type"], error["action"], error["code"]) == ("error", frame["action"], code)
        assert error["message"]
        assert error["requestId"]


def test_longest_text_is_delivered(chat_url: str, pair: Pair) -> None:
    with device(chat_url, userId=pair.first) as here, device(chat_url, userId=pair.second) as there:
        here.say(pair.chat_id, "😀" * 4096)
        assert there.receive()["text"] == "😀" * 4096
