import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import events
from tests.support.backend import Backend, Logs
from tests.support.clock import Clock
from tests.support.network import (
    Fault,
    FaultAction,
    Network,
    answer_lost,
    denied,
    failing,
    leaves_out,
    lost_on_its_way,
    no_one_there,
    not_reached_in_time,
    taken,
    throttled,
)

CHAT = "user123#user456"
LONG_AGO = int(time.time() * 1000) - 60_000


def test_text_is_stored_pushed_and_acknowledged(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    frame = {"action": "sendmessage", "chatId": "user456#user123", "text": "Hello!"}
    ack = backend.send(sender, frame, at=1764000000123)
    message_id = ack["messageId"]
    assert ack == {
        "type": "ack",
        "action": "sendmessage",
        "messageId": message_id,
        "chatId": CHAT,
        "timestamp": 1764000000123,
        "delivered": 1,
    }
    message = {
        "messageId": message_id,
        "chatId": CHAT,
        "senderId": "user123",
        "recipientId": "user456",
        "timestamp": 1764000000123,
        "text": "Hello!",
    }
    assert backend.messages() == [message]
    assert backend.api.received(recipient) == [{"type": "message", **message}]
    assert backend.api.received(sender) == []


def test_reply_has_only_keys_that_api_gateway_accepts(backend: Backend) -> None:
    sender = backend.connect("user123")
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "Hello!"}
    assert backend.reply_to(sender, frame).keys() == {"statusCode", "body"}


def test_message_reaches_all_devices_but_the_sending_one(backend: Backend) -> None:
    sender, tablet = backend.connect("user123"), backend.connect("user123")
    recipients = [backend.connect("user456") for _ in range(3)]
    stranger = backend.connect("user789")
    assert backend.say(sender, CHAT, "Hello!")["delivered"] == 3
    for connection_id in [tablet, *recipients]:
        assert [frame["text"] for frame in backend.api.received(connection_id)] == ["Hello!"]
    assert backend.api.received(sender) == backend.api.received(stranger) == []


def test_only_the_senders_other_devices_receive_the_client_message_id(backend: Backend) -> None:
    sender, tablet = backend.connect("user123"), backend.connect("user123")
    phone = backend.connect("user456")
    ack = backend.say(sender, CHAT, "x", clientMessageId="c-1")
    (own,), (theirs,) = backend.api.received(tablet), backend.api.received(phone)
    assert own.pop("clientMessageId") == ack["clientMessageId"] == "c-1"
    assert own == theirs
    assert "clientMessageId" not in theirs


def test_copy_of_a_resend_carries_the_client_message_id(backend: Backend) -> None:
    sender, tablet = backend.connect("user123"), backend.connect("user123")
    for _ in range(2):
        backend.say(sender, CHAT, "x", clientMessageId="c-1")
    first, second = backend.api.received(tablet)
    assert first == second
    assert first["clientMessageId"] == "c-1"


def test_message_to_an_offline_user_is_stored(backend: Backend) -> None:
    sender = backend.connect("user123")
    assert backend.say(sender, CHAT, "Hello!")["delivered"] == 0
    assert [row["text"] for row in backend.messages()] == ["Hello!"]


def test_unprocessed_keys_are_requested_again(backend: Backend, wire: Network) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    with wire.broken(Fault("dynamodb.BatchGetItem", leaves_out("user#user456"), times=1)):
        assert backend.say(sender, CHAT, "Hello!")["delivered"] == 1
    assert len(backend.api.received(recipient)) == 1
    asked = [
        body["RequestItems"]["ChatConnections"]
        for body in wire.bodies["dynamodb.BatchGetItem"][-2:]
    ]
    assert [len(each["Keys"]) for each in asked] == [2, 1]
    assert all(each["ConsistentRead"] for each in asked)


def test_keys_that_stay_unprocessed_hide_no_other_connection(
    backend: Backend, wire: Network
) -> None:
    sender, tablet = backend.connect("user123"), backend.connect("user123")
    backend.connect("user456")
    with wire.broken(Fault("dynamodb.BatchGetItem", leaves_out("user#user456"))):
        assert backend.say(sender, CHAT, "Hello!")["delivered"] == 0
    assert len(backend.api.received(tablet)) == 1


def test_pushes_run_in_parallel(backend: Backend) -> None:
    sender = backend.connect("user123")
    devices = [backend.connect("user456") for _ in range(8)]
    # Each post waits until all eight are under way: one after the other, none would ever end.
    together = threading.Barrier(8)
    backend.api.gates = dict.fromkeys(devices, together)
    assert backend.say(sender, CHAT, "Hello!")["delivered"] == 8


def test_dead_connection_is_removed_and_the_others_get_the_message(backend: Backend) -> None:
    sender = backend.connect("user123")
    dead = backend.connect("user456", connected_at=LONG_AGO)
    alive = backend.connect("user456", connected_at=LONG_AGO)
    backend.api.open.remove(dead)
    assert backend.say(sender, CHAT, "Hello!")["delivered"] == 1
    assert backend.connections().keys() == {sender, alive}
    assert backend.api.attempts[dead] == 1


def test_push_waits_for_a_handshake_that_is_not_over(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.api.open.remove(recipient)
    opening = threading.Timer(0.2, backend.api.open.add, [recipient])
    opening.start()
    assert backend.say(sender, CHAT, "Hello!")["delivered"] == 1
    opening.join()
    assert backend.connections().keys() == {sender, recipient}


def test_young_connection_that_answers_410_is_kept(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.api.open.remove(recipient)
    assert backend.say(sender, CHAT, "Hello!")["delivered"] == 0
    assert backend.connections().keys() == {sender, recipient}


@pytest.mark.parametrize("status", [403, 413, 429, 500, 503])
def test_failed_push_does_not_fail_the_message(backend: Backend, logs: Logs, status: int) -> None:
    sender = backend.connect("user123")
    broken, fine = backend.connect("user456"), backend.connect("user456")
    backend.api.broken[broken] = status
    assert backend.say(sender, CHAT, "Hello!")["delivered"] == 1
    assert len(backend.messages()) == 1
    assert backend.connections().keys() == {sender, broken, fine}
    assert backend.api.attempts[broken] == (1 if status in {403, 413} else 2)
    assert sum(line.get("PushFailures", [0])[0] for line in logs()) == 1


@pytest.mark.parametrize("fault", [lost_on_its_way, not_reached_in_time, no_one_there])
def test_unanswered_push_does_not_fail_the_message(
    backend: Backend, wire: Network, fault: FaultAction
) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    with wire.broken(Fault("apigatewaymanagementapi.PostToConnection", fault)):
        assert backend.say(sender, CHAT, "Hello!")["delivered"] == 0
    assert len(backend.messages()) == 1
    assert backend.connections().keys() == {sender, recipient}


def test_failed_removal_of_a_dead_connection_does_not_fail_the_message(
    backend: Backend, wire: Network
) -> None:
    sender = backend.connect("user123")
    dead, alive = backend.connect("user456", connected_at=LONG_AGO), backend.connect("user456")
    backend.api.open.remove(dead)
    with wire.broken(Fault("dynamodb.DeleteItem", throttled)):
        assert backend.say(sender, CHAT, "Hello!")["delivered"] == 1
    assert backend.connections().keys() == {sender, dead, alive}


def test_failed_lookup_of_connections_does_not_fail_the_message(
    backend: Backend, wire: Network
) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    with wire.broken(Fault("dynamodb.BatchGetItem", throttled)):
        assert backend.say(sender, CHAT, "Hello!")["delivered"] == 0
    assert [row["text"] for row in backend.messages()] == ["Hello!"]
    assert backend.api.received(recipient) == []


@pytest.mark.parametrize(
    "fault", [throttled, failing, lost_on_its_way, not_reached_in_time, no_one_there]
)
def test_message_that_cannot_be_stored_is_neither_pushed_nor_acknowledged(
    backend: Backend, wire: Network, fault: FaultAction
) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    with wire.broken(Fault("dynamodb.PutItem", fault)):
        reply = backend.reply_to(
            sender, {"action": "sendmessage", "chatId": CHAT, "text": "Hello!"}
        )
    error = backend.frame_of(reply)
    assert (reply["statusCode"], error["code"]) == (503, "unavailable")
    assert error["retryAfterMs"] > 0
    assert backend.messages() == []
    assert backend.api.received(recipient) == []


def test_write_with_a_lost_answer_stores_one_message(backend: Backend, wire: Network) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    with wire.broken(Fault("dynamodb.PutItem", answer_lost, times=1)):
        ack = backend.say(sender, CHAT, "Hello!", at=1764000000123)
    assert ack["timestamp"] == 1764000000123
    assert len(backend.messages()) == len(backend.api.received(recipient)) == 1


def test_messages_of_one_millisecond_get_later_timestamps(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    acks = [backend.say(sender, CHAT, str(number), at=1764000000123) for number in range(3)]
    timestamps = [ack["timestamp"] - 1764000000123 for ack in acks]
    assert timestamps[0] == 0
    assert len(set(timestamps)) == 3
    assert max(timestamps) <= 10 + 100
    assert {row["text"] for row in backend.messages()} == {"0", "1", "2"}
    pushed = [frame["timestamp"] for frame in backend.api.received(recipient)]
    assert pushed == [ack["timestamp"] for ack in acks]


def test_messages_that_race_for_one_millisecond_are_all_stored(backend: Backend) -> None:
    sender = backend.connect("user123")
    texts = [str(number) for number in range(16)]
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda text: backend.say(sender, CHAT, text, at=1764000000123), texts))
    assert {row["text"] for row in backend.messages()} == set(texts)


def test_200_messages_of_one_millisecond_take_few_writes_each(
    backend: Backend, wire: Network
) -> None:
    sender = backend.connect("user123")
    wire.calls.clear()
    for number in range(200):
        backend.say(sender, CHAT, str(number), at=1764000000000)
    assert len(backend.messages()) == 200
    assert wire.calls.count("dynamodb.PutItem") < 4 * 200


def test_chat_without_a_free_millisecond_is_unavailable(backend: Backend, wire: Network) -> None:
    sender = backend.connect("user123")
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "y"}
    wire.calls.clear()
    with wire.broken(Fault("dynamodb.PutItem", taken)):
        assert backend.send(sender, frame)["code"] == "unavailable"
    assert wire.calls.count("dynamodb.PutItem") == 9
    assert backend.messages() == []


def test_throttled_write_ends_within_its_timeout(
    backend: Backend, wire: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = backend.connect("user123")
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "y"}
    modules = backend.send_message.modules
    clock = Clock()
    for name in ("retry", "delivery"):
        monkeypatch.setattr(modules[f"chat.{name}"], "time", clock)
    monkeypatch.setattr(modules["chat.messages"], "STORE_TIMEOUT_S", 2.0)
    with wire.broken(Fault("dynamodb.PutItem", throttled)):
        assert backend.send(sender, frame)["code"] == "unavailable"
    assert 0 < clock.slept_s <= 2.0


def test_same_millisecond_in_two_chats_is_no_conflict(backend: Backend) -> None:
    sender = backend.connect("user123")
    for chat_id in ("user123#user456", "user123#user789"):
        assert backend.say(sender, chat_id, "x", at=1764000000123)["timestamp"] == 1764000000123


def test_sender_is_the_user_of_the_connection(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.say(sender, CHAT, "Hello!", senderId="user456", userId="user456")
    assert backend.messages()[0]["senderId"] == "user123"
    assert backend.api.received(recipient)[0]["senderId"] == "user123"


def test_sender_outside_the_chat_is_refused(backend: Backend) -> None:
    sender, recipient = backend.connect("user789"), backend.connect("user456")
    reply = backend.reply_to(sender, {"action": "sendmessage", "chatId": CHAT, "text": "Hello!"})
    error = backend.frame_of(reply)
    assert (reply["statusCode"], error["code"]) == (403, "forbidden")
    assert backend.messages() == []
    assert backend.api.received(recipient) == []


def test_unregistered_connection_is_unauthorized(backend: Backend) -> None:
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "Hello!"}
    reply = backend.reply_to(events.new_id(), frame)
    error = backend.frame_of(reply)
    assert (reply["statusCode"], error["code"]) == (401, "unauthorized")
    assert "Connect again" in error["message"]


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        ('{"action":"sendmessage"', "JSON"),
        ("[]", "JSON object"),
        ("", "JSON"),
        ({"action": "sendmessage", "text": "x"}, "`chatId`"),
        ({"action": "sendmessage", "chatId": "user123", "text": "x"}, "`chatId`"),
        ({"action": "sendmessage", "chatId": CHAT}, "`text`, `fileKey`, or both"),
        ({"action": "sendmessage", "chatId": CHAT, "text": ""}, "`text`"),
        ({"action": "sendmessage", "chatId": CHAT, "text": " \n"}, "blank"),
        ({"action": "sendmessage", "chatId": CHAT, "text": "x" * 4097}, "4096"),
        ({"action": "sendmessage", "chatId": CHAT, "text": 5}, "string"),
        ('{"action":"sendmessage","chatId":"user123#user456","text":"\\ud800"}', "Unicode"),
        ({"action": "sendmessage", "chatId": CHAT, "fileKey": ["x"]}, "string"),
    ],
)
def test_error_message_says_what_to_change(backend: Backend, frame: object, says: str) -> None:
    sender = backend.connect("user123")
    reply = backend.reply_to(sender, frame)
    error = backend.frame_of(reply)
    assert error.keys() == {"type", "action", "code", "message", "requestId"}
    assert (error["type"], error["action"]) == ("error", "sendmessage")
    assert (reply["statusCode"], error["code"]) == (400, "invalid_request")
    assert says in error["message"]
    assert backend.messages() == []


def test_longest_text_of_four_byte_characters_arrives(backend: Backend) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.say(sender, CHAT, "😀" * 4096)
    assert backend.api.received(recipient)[0]["text"] == "😀" * 4096


def test_unexpected_exception_is_internal_without_details(
    backend: Backend, wire: Network, logs: Logs
) -> None:
    sender = backend.connect("user123")
    logs()
    frame = {"action": "sendmessage", "chatId": CHAT, "text": "Hello!"}
    with wire.broken(Fault("dynamodb.PutItem", denied)):
        reply = backend.reply_to(sender, frame)
    error = backend.frame_of(reply)
    assert reply["statusCode"] == 500
    assert error.keys() == {"type", "action", "code", "message", "requestId"}
    assert error["code"] == "internal"
    assert "AccessDenied" not in reply["body"]
    (line,) = (line for line in logs() if line.get("level") == "ERROR")
    assert line["request_id"] == error["requestId"]
    assert "AccessDeniedException" in line["exception"]


def test_event_of_another_service_is_internal(backend: Backend) -> None:
    for function in backend.containers():
        reply = function({"hello": "world"})
        assert reply["statusCode"] == 500
        assert backend.frame_of(reply)["code"] == "internal"


def test_warm_container_reads_the_sender_once(backend: Backend, wire: Network) -> None:
    sender, _ = backend.connect("user123"), backend.connect("user456")
    wire.calls.clear()
    for _ in range(2):
        backend.say(sender, CHAT, "Hello!")
    assert wire.calls.count("dynamodb.GetItem") == 1
    assert wire.calls.count("dynamodb.PutItem") == 2
    assert wire.calls.count("dynamodb.BatchGetItem") == 2


def test_row_of_a_new_connection_is_read_strongly_consistently(
    backend: Backend, wire: Network
) -> None:
    sender = backend.connect("user123")
    backend.say(sender, CHAT, "Hello!")
    assert wire.bodies["dynamodb.GetItem"][0]["ConsistentRead"] is True


def test_no_table_is_scanned(backend: Backend, wire: Network) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.say(sender, CHAT, "Hello!")
    backend.on_disconnect(events.disconnect(recipient))
    assert "dynamodb.Scan" not in wire.calls


def test_every_log_line_has_the_ids_and_not_the_text(backend: Backend, logs: Logs) -> None:
    sender, recipient = backend.connect("user123"), backend.connect("user456")
    backend.api.broken[recipient] = 500
    logs()
    secret = "a secret that stays one"
    event = events.message(sender, {"action": "sendmessage", "chatId": CHAT, "text": secret})
    backend.send_message(event)
    lines = logs()
    records = [line for line in lines if "level" in line]
    assert {record["message"] for record in records} == {"push failed", "message sent"}
    for record in records:
        assert record["connection_id"] == sender
        assert record["request_id"] == event["requestContext"]["requestId"]
        assert record["service"] == "send_message"
    assert secret not in str(lines)


def test_metrics_are_in_the_log(backend: Backend, logs: Logs) -> None:
    sender, _ = backend.connect("user123"), backend.connect("user456")
    logs()
    backend.say(sender, CHAT, "Hello!")
    (metrics,) = (line for line in logs() if "_aws" in line)
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "ServerlessChat/local"
    assert (metrics["MessagesStored"], metrics["MessagesPushed"]) == ([1.0], [1.0])
