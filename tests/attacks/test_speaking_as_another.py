"""Mallory tries to be Alice."""

import pytest

from tests.attacks.attacked import AttackedBackend, Users


@pytest.mark.parametrize("field", ["senderId", "userId", "sender", "from", "connectionId"])
def test_naming_another_sender_in_a_frame(
    attacked: AttackedBackend, users: Users, field: str
) -> None:
    chat_id = f"{users.bob}#{users.mallory}"
    with attacked.device(users.mallory) as mallory, attacked.device(users.bob) as bob:
        frame = {"action": "sendmessage", "chatId": chat_id, "text": "x", field: users.alice}
        assert mallory.ask(frame)["type"] == "ack"
        assert bob.receive()["senderId"] == users.mallory


def test_bringing_api_gateways_own_fields_in_a_frame(
    attacked: AttackedBackend, users: Users
) -> None:
    forged = {
        "action": "sendmessage",
        "chatId": users.chat_id,
        "text": "x",
        "requestContext": {"authorizer": {"userId": users.alice}},
        "headers": {"Authorization": "Bearer x"},
        "queryStringParameters": {"userId": users.alice},
        "catchUp": {"connection_id": "x", "user_id": users.alice, "since": 0, "connected_at": 0},
    }
    with attacked.device(users.mallory) as mallory:
        assert mallory.ask(forged)["code"] == "forbidden"


@pytest.mark.parametrize("action", ["$connect", "$disconnect", "$default", "catchUp"])
def test_taking_a_route_that_is_not_for_frames(
    attacked: AttackedBackend, users: Users, action: str
) -> None:
    """Neither to become another, nor to be forgotten, and so not to be counted."""
    with attacked.device(users.mallory) as mallory, attacked.device(users.bob) as bob:
        answer = mallory.ask({"action": action, "userId": users.alice})
        assert "type" not in answer, "it is API Gateway's own"
        assert bob.say(f"{users.bob}#{users.mallory}", "x")["delivered"] == 1
        assert mallory.receive()["senderId"] == users.bob
        mallory.say(f"{users.bob}#{users.mallory}", "y")
        assert bob.receive()["senderId"] == users.mallory


def test_resending_what_another_sent(attacked: AttackedBackend, users: Users) -> None:
    """The client's id of a message is its sender's own: it names nobody else's."""
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
def test_a_user_id_that_would_become_anothers(
    attacked: AttackedBackend, users: Users, spelling: str
) -> None:
    """Nothing is normalised, so nothing can collide; what has two spellings is no user id.

    A space is a `+` that was not encoded, and so another user's id.
    """
    user_id = spelling.format(users.alice)
    if attacked.issuer is None:
        assert attacked.refuses(userId=user_id) == 400
    else:
        assert attacked.refuses(token=attacked.issuer.token(user_id)) == 401
        own = attacked.issuer.token(users.mallory)
        assert attacked.refuses(token=own, userId=user_id) == 403


def test_a_user_id_in_capitals_is_another_user(attacked: AttackedBackend, users: Users) -> None:
    with attacked.device(users.alice.upper()) as mallory, attacked.device(users.bob) as bob:
        assert mallory.say(users.chat_id, "x")["code"] == "forbidden"
        bob.say(users.chat_id, "for alice alone")
        mallory.say(f"{users.alice.upper()}#{users.bob}", "x")
        assert bob.receive()["senderId"] == users.alice.upper()


def test_saying_twice_who_one_is(token_backend: AttackedBackend, users: Users) -> None:
    assert token_backend.issuer is not None
    token = token_backend.issuer.token(users.mallory)
    query = f"{token_backend.url}?userId={users.mallory}&token={token}&userId={users.alice}"
    assert AttackedBackend(query, None).refuses() == 403


def test_in_the_open_mode_a_name_is_all_it_takes(
    open_backend: AttackedBackend, users: Users
) -> None:
    """No code can refuse that. README, SECURITY.md and an output of every deployment say so."""
    with open_backend.device(users.alice) as mallory:
        assert mallory.say(users.chat_id, "x")["type"] == "ack"
