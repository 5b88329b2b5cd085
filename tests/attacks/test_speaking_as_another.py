"""Mallory tries to be Alice."""

import pytest

from tests.attacks.conftest import Cast, Deployment


@pytest.mark.parametrize("field", ["senderId", "userId", "sender", "from", "connectionId"])
def test_naming_another_sender_in_a_frame(deployment: Deployment, people: Cast, field: str) -> None:
    chat_id = f"{people.bob}#{people.mallory}"
    with deployment.device(people.mallory) as mallory, deployment.device(people.bob) as bob:
        frame = {"action": "sendmessage", "chatId": chat_id, "text": "x", field: people.alice}
        assert mallory.ask(frame)["type"] == "ack"
        assert bob.receive()["senderId"] == people.mallory


def test_bringing_api_gateways_own_fields_in_a_frame(deployment: Deployment, people: Cast) -> None:
    forged = {
        "action": "sendmessage",
        "chatId": people.chat_id,
        "text": "x",
        "requestContext": {"authorizer": {"userId": people.alice}},
        "headers": {"Authorization": "Bearer x"},
        "queryStringParameters": {"userId": people.alice},
        "catchUp": {"connection_id": "x", "user_id": people.alice, "since": 0, "connected_at": 0},
    }
    with deployment.device(people.mallory) as mallory:
        assert mallory.ask(forged)["code"] == "forbidden"


@pytest.mark.parametrize("action", ["$connect", "$disconnect", "$default", "catchUp"])
def test_taking_a_route_that_is_not_for_frames(
    deployment: Deployment, people: Cast, action: str
) -> None:
    """Neither to become another, nor to be forgotten, and so not to be counted."""
    with deployment.device(people.mallory) as mallory, deployment.device(people.bob) as bob:
        answer = mallory.ask({"action": action, "userId": people.alice})
        assert "type" not in answer, "it is API Gateway's own"
        assert bob.say(f"{people.bob}#{people.mallory}", "x")["delivered"] == 1
        assert mallory.receive()["senderId"] == people.bob
        mallory.say(f"{people.bob}#{people.mallory}", "y")
        assert bob.receive()["senderId"] == people.mallory


def test_resending_what_another_sent(deployment: Deployment, people: Cast) -> None:
    """The client's id of a message is its sender's own: it names nobody else's."""
    with deployment.device(people.alice) as alice, deployment.device(people.bob) as bob:
        frame = {"action": "sendmessage", "chatId": people.chat_id, "clientMessageId": "1"}
        first = alice.ask(frame | {"text": "from alice"})
        assert bob.receive()["text"] == "from alice"
        second = bob.ask(frame | {"text": "from bob"})
        assert second["messageId"] != first["messageId"]
        assert "duplicate" not in second
        assert alice.receive()["senderId"] == people.bob


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
    deployment: Deployment, people: Cast, spelling: str
) -> None:
    """Nothing is normalised, so nothing can collide; what has two spellings is no user id.

    A space is a `+` that was not encoded, and so another user's id.
    """
    user_id = spelling.format(people.alice)
    if deployment.issuer is None:
        assert deployment.refuses(userId=user_id) == 400
    else:
        assert deployment.refuses(token=deployment.issuer.token(user_id)) == 401
        own = deployment.issuer.token(people.mallory)
        assert deployment.refuses(token=own, userId=user_id) == 403


def test_a_user_id_in_capitals_is_another_user(deployment: Deployment, people: Cast) -> None:
    with deployment.device(people.alice.upper()) as mallory, deployment.device(people.bob) as bob:
        assert mallory.say(people.chat_id, "x")["code"] == "forbidden"
        bob.say(people.chat_id, "for alice alone")
        mallory.say(f"{people.alice.upper()}#{people.bob}", "x")
        assert bob.receive()["senderId"] == people.alice.upper()


def test_saying_twice_who_one_is(closed: Deployment, people: Cast) -> None:
    assert closed.issuer is not None
    token = closed.issuer.token(people.mallory)
    query = f"{closed.url}?userId={people.mallory}&token={token}&userId={people.alice}"
    assert Deployment(query, None).refuses() == 403


def test_in_the_open_mode_a_name_is_all_it_takes(open_deployment: Deployment, people: Cast) -> None:
    """No code can refuse that. README, SECURITY.md and an output of every deployment say so."""
    with open_deployment.device(people.alice) as mallory:
        assert mallory.say(people.chat_id, "x")["type"] == "ack"
