"""Clients catch up and read chats, through real sockets and real asynchronous invocations."""

import json
import time

from tests.e2e.test_wscat import wscat
from tests.support.device import device
from tests.support.users import Pair


def test_user_that_was_offline_receives_missed_messages_in_order(chat_url: str, pair: Pair) -> None:
    with device(chat_url, userId=pair.first) as here:
        acks = [here.say(pair.chat_id, str(number)) for number in range(5)]
    with device(chat_url, userId=pair.second, since="0") as back:
        frame, synced = back.receive(), back.receive()
    assert frame["type"] == "messages"
    assert [each["messageId"] for each in frame["messages"]] == [ack["messageId"] for ack in acks]
    assert (synced["type"], synced["since"], synced["count"]) == ("synced", 0, 5)
    assert synced["complete"] is True
    assert synced["until"] >= acks[-1]["timestamp"]


def test_next_catch_up_begins_where_the_last_one_ended(chat_url: str, pair: Pair) -> None:
    with device(chat_url, userId=pair.second, since="0") as back:
        synced = back.receive()
        assert synced["count"] == 0
    with device(chat_url, userId=pair.first) as here:
        ack = here.say(pair.chat_id, "while you were out")
    with device(chat_url, userId=pair.second, since=str(synced["until"])) as back:
        assert [each["messageId"] for each in back.receive()["messages"]] == [ack["messageId"]]
        assert back.receive()["type"] == "synced"


def test_resend_is_one_message(chat_url: str, pair: Pair) -> None:
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
        assert [each["messageId"] for each in back.receive()["messages"]] == [first["messageId"]]
        assert back.receive()["count"] == 1


def test_since_in_the_future_finds_nothing(chat_url: str, pair: Pair) -> None:
    tomorrow = int(time.time() * 1000) + 24 * 60 * 60 * 1000
    with device(chat_url, userId=pair.second, since=str(tomorrow)) as back:
        assert back.receive()["count"] == 0


def test_wscat_receives_five_missed_messages(chat_url: str, pair: Pair) -> None:
    with wscat(chat_url, pair.first) as here:
        for number in range(5):
            frame = {"action": "sendmessage", "chatId": pair.chat_id, "text": str(number)}
            here.type(json.dumps(frame))
            assert here.frame()["delivered"] == 0
    with wscat(chat_url, pair.second, since="0") as back:
        texts = [message["text"] for message in back.frame()["messages"]]
        assert texts == ["0", "1", "2", "3", "4"]
        assert back.frame()["type"] == "synced"


def test_open_connection_catches_up_and_reads_the_chat(chat_url: str, pair: Pair) -> None:
    with (
        device(chat_url, userId=pair.first) as here,
        device(chat_url, userId=pair.second) as there,
    ):
        acks = [here.say(pair.chat_id, str(number)) for number in range(3)]
        live = [there.receive() for _ in acks]
        assert {frame["type"] for frame in live} == {"message"}
        there.send({"action": "getmessages", "since": 0})
        missed, synced = there.receive(), there.receive()
        assert (synced["type"], synced["count"], synced["complete"]) == ("synced", 3, True)
        page = here.ask({"action": "getmessages", "chatId": pair.chat_id, "limit": 2})
        rest = here.ask({"action": "getmessages", "chatId": pair.chat_id, "before": page["before"]})
    assert (page["more"], rest["more"]) == (True, False)
    ids = [ack["messageId"] for ack in acks]
    assert [each["messageId"] for each in missed["messages"]] == ids
    assert [each["messageId"] for each in rest["messages"] + page["messages"]] == ids


def test_300_missed_messages_arrive_in_at_most_12_frames(chat_url: str, pair: Pair) -> None:
    with device(chat_url, userId=pair.first) as here:
        for number in range(300):
            here.say(pair.chat_id, f"message {number}")
    texts: list[str] = []
    frames = 0
    with device(chat_url, userId=pair.second, since="0") as back:
        while (frame := back.receive())["type"] == "messages":
            frames += 1
            texts += [message["text"] for message in frame["messages"]]
    assert texts == [f"message {number}" for number in range(300)]
    assert (frame["type"], frame["count"]) == ("synced", 300)
    assert frames <= 12
