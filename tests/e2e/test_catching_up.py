"""Whoever was away catches up, through real sockets and a real asynchronous invocation."""

import json
import time

from tests.e2e.test_wscat import wscat
from tests.support.device import device
from tests.support.users import Pair


def test_who_was_away_sees_what_was_missed_in_order(chat_url: str, pair: Pair) -> None:
    with device(chat_url, userId=pair.first) as here:
        acks = [here.say(pair.chat_id, str(number)) for number in range(5)]
    with device(chat_url, userId=pair.second, since="0") as back:
        messages = [back.receive() for _ in acks]
        assert [message["messageId"] for message in messages] == [ack["messageId"] for ack in acks]
        assert {message["type"] for message in messages} == {"message"}
        synced = back.receive()
    assert (synced["type"], synced["since"], synced["count"]) == ("synced", 0, 5)
    assert synced["complete"] is True
    assert synced["until"] >= acks[-1]["timestamp"]


def test_the_next_time_begins_where_the_last_one_ended(chat_url: str, pair: Pair) -> None:
    with device(chat_url, userId=pair.second, since="0") as back:
        synced = back.receive()
        assert synced["count"] == 0
    with device(chat_url, userId=pair.first) as here:
        ack = here.say(pair.chat_id, "while you were out")
    with device(chat_url, userId=pair.second, since=str(synced["until"])) as back:
        assert back.receive()["messageId"] == ack["messageId"]
        assert back.receive()["type"] == "synced"


def test_a_resend_is_one_message(chat_url: str, pair: Pair) -> None:
    frame = {
        "action": "sendmessage",
        "chatId": pair.chat_id,
        "text": "x",
        "clientMessageId": "c-1",
    }
    with device(chat_url, userId=pair.first) as here:
        first, second = here.ask(frame), here.ask(frame)
    assert second == first | {"duplicate": True}
    with device(chat_url, userId=pair.second, since="0") as back:
        assert back.receive()["messageId"] == first["messageId"]
        assert back.receive()["count"] == 1


def test_a_since_that_is_in_the_future_finds_nothing(chat_url: str, pair: Pair) -> None:
    tomorrow = int(time.time() * 1000) + 24 * 60 * 60 * 1000
    with device(chat_url, userId=pair.second, since=str(tomorrow)) as back:
        assert back.receive()["count"] == 0


def test_with_wscat_five_messages_are_sent_and_seen_later(chat_url: str, pair: Pair) -> None:
    with wscat(chat_url, pair.first) as here:
        for number in range(5):
            frame = {"action": "sendmessage", "chatId": pair.chat_id, "text": str(number)}
            here.type(json.dumps(frame))
            assert here.frame()["delivered"] == 0
    with wscat(chat_url, pair.second, since="0") as back:
        assert [back.frame()["text"] for _ in range(5)] == ["0", "1", "2", "3", "4"]
        assert back.frame()["type"] == "synced"
