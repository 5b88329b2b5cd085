"""Mallory tries to be Alice."""

import pytest

from tests.attacks.attacked import AttackedBackend, Users


@pytest.mark.parametrize("field", ["senderId", "userId", "sender", "from", "connectionId"])
def test_sender_in_a_frame_is_ignored(attacked: AttackedBackend, users: Users, field: str) -> None:
    chat_id = f"{users.bob}#{users.mallory}"
    with attacked.device(users.mallory) as mallory, attacked.device(users.bob) as bob:
        frame = {"action": "sendmessage", "chatId": chat_id, "text": "x", field: users.alice}
        assert mallory.ask(frame)["type"] == "ack"
        assert bob.receive()["senderId"] == users.mallory


def test_event_fields_in_a_frame_are_ignored(attacked: AttackedBackend, users: Users) -> None:
    forged = {
        "action": "sendmessage",
        "chatId": users.chat_id,
        "text": "x",
        "requestContext": {"authorizer": {"userId": users.alice}},
        "headers": {"Authorization": "Bearer x"},
        "queryStringParameters": {"userId": users.alice},
        "send": {"senderId": users.alice, "chatId": users.chat_id, "text": "x"},
        "catchUp": {"connection_id": "x", "user_id": users.alice, "since": 0, "connected_at": 0},
    }
    with attacked.device(users.mallory) as mallory:
        assert mallory.ask(forged)["code"] == "forbidden"


@pytest.mark.parametrize("action", ["$connect", "$disconnect", "$default", "catchUp", "send"])
def test_frame_cannot_select_what_only_an_event_can_be(
    attacked: AttackedBackend, users: Users, action: str
) -> None:
    """Otherwise Mallory could become another user, or remove a connection from the limit."""
    with attacked.device(users.mallory) as mallory, attacked.device(users.bob) as bob:
        answer = mallory.ask({"action": action, "userId": users.alice})
        assert "type" not in answer, "the answer is not API Gateway's"
        assert bob.say(f"{users.bob}#{users.mallory}", "x")["delivered"] == 1
        assert mallory.receive()["senderId"] == users.bob
        mallory.say(f"{users.bob}#{users.mallory}", "y")
        assert bob.receive()["senderId"] == users.mallory


def test_client_message_id_of_another_user_is_no_duplicate(
    attacked: AttackedBackend, users: Users
) -> None:
    """An idempotency record belongs to one sender."""
    with attacked.device(users.alice) as alice, attacked.device(users.bob) as bob:
        frame = {"action": "sendmessage", "chatId": users.chat_id, "clientMessageId": "1"}
        first = alice.ask(frame | {"text": "from alice"})
        assert bob.receive()["text"] == "from alice"
        second = bob.ask(frame | {"text": "from bob"})
        assert second["messageId"] != first["messageId"]
        assert "duplicate" not in second
        assert alice.receive()["senderId"] == users.bob


@pytest.mark.parametrize(
    "spelling",
    [
        "{0}\u200b",
        "{0}\u0000",
        "\u202e{0}",
        "{0}\n",
        "{0}/",
        "{0}%20",
        "{0}#",
        "ａ{0}",
        "ﬁ{0}",
        "é{0}",
        "e\u0301{0}",
        "{0},{0}",
    ],
)
def test_user_id_that_resembles_another_is_refused(
    attacked: AttackedBackend, users: Users, spelling: str
) -> None:
    """No user id is normalised, so two of them cannot collide.

    A space is read as a `+` that was not encoded: an id with one belongs to another user.
    """
    user_id = spelling.format(users.alice)
    if attacked.issuer is None:
        assert attacked.refused_status(userId=user_id) == 400
    else:
        assert attacked.refused_status(token=attacked.issuer.token(user_id)) == 401
        own = attacked.issuer.token(users.mallory)
        assert attacked.refused_status(token=own, userId=user_id) == 403


def test_user_id_in_capitals_is_another_user(attacked: AttackedBackend, users: Users) -> None:
    with attacked.device(users.alice.upper()) as mallory, attacked.device(users.bob) as bob:
        assert mallory.say(users.chat_id, "x")["code"] == "forbidden"
        bob.say(users.chat_id, "for alice alone")
        mallory.say(f"{users.alice.upper()}#{users.bob}", "x")
        assert bob.receive()["senderId"] == users.alice.upper()


def test_repeated_user_id_in_the_url_is_refused(
    token_backend: AttackedBackend, users: Users
) -> None:
    assert token_backend.issuer is not None
    token = token_backend.issuer.token(users.mallory)
    query = f"{token_backend.url}?userId={users.mallory}&token={token}&userId={users.alice}"
    assert AttackedBackend(query, None).refused_status() == 403


def test_open_mode_lets_a_client_claim_any_user_id(
    open_backend: AttackedBackend, users: Users
) -> None:
    """README, SECURITY.md and an output of the stack warn of this."""
    with open_backend.device(users.alice) as mallory:
        assert mallory.say(users.chat_id, "x")["type"] == "ack"
