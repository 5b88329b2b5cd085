"""Mallory tries to write into, and to read from, the chat of Alice and Bob."""

import pytest

from tests.attacks.attacked import AttackedBackend, Users

REFUSED = {"forbidden", "invalid_request", "not_found"}


def test_user_outside_a_chat_cannot_write_into_it(attacked: AttackedBackend, users: Users) -> None:
    with (
        attacked.device(users.mallory) as mallory,
        attacked.device(users.bob) as bob,
        attacked.device(users.alice) as alice,
    ):
        for chat_id in (users.chat_id, f"{users.bob}#{users.alice}"):
            assert mallory.say(chat_id, "psst")["code"] == "forbidden"
        # The first frame that Bob receives is from Alice.
        alice.say(users.chat_id, "from alice")
        assert bob.receive()["text"] == "from alice"


@pytest.mark.parametrize(
    "chat_id",
    [
        "{alice}#{bob}#{mallory}",
        "{mallory}#{alice}#{bob}",
        "{alice}#{mallory}\u0000",
        "{mallory}##{alice}",
        "{mallory}#",
        "#{mallory}",
        "{mallory}#{mallory}",
        "{mallory}",
        "{mallory}#*",
        "{mallory}#{alice}\u202e",
        "{mallory}\uff03{alice}",
        "{mallory}%23{alice}",
    ],
)
def test_ambiguous_chat_id_is_refused(
    attacked: AttackedBackend, users: Users, chat_id: str
) -> None:
    spelled = chat_id.format(alice=users.alice, bob=users.bob, mallory=users.mallory)
    with attacked.device(users.mallory) as mallory:
        assert mallory.say(spelled, "x")["code"] == "invalid_request"


def test_frame_with_two_chat_ids_is_refused(attacked: AttackedBackend, users: Users) -> None:
    own, theirs = f"{users.alice}#{users.mallory}", users.chat_id
    with attacked.device(users.mallory) as mallory:
        for first, second in ((own, theirs), (theirs, own)):
            body = f'{{"action":"sendmessage","chatId":"{first}","text":"x","chatId":"{second}"}}'
            assert mallory.ask(body)["code"] == "invalid_request"


def test_catch_up_has_no_messages_of_other_users(attacked: AttackedBackend, users: Users) -> None:
    with attacked.device(users.alice) as alice:
        alice.say(users.chat_id, "for bob alone")
    with attacked.device(users.mallory, since="0") as mallory:
        synced = mallory.receive()
        assert (synced["type"], synced["count"]) == ("synced", 0)


def test_user_outside_a_chat_cannot_read_its_history(
    attacked: AttackedBackend, users: Users
) -> None:
    with (
        attacked.device(users.alice) as alice,
        attacked.device(users.mallory) as mallory,
    ):
        alice.say(users.chat_id, "for bob alone")
        for chat_id in (users.chat_id, f"{users.bob}#{users.alice}"):
            error = mallory.ask({"action": "getmessages", "chatId": chat_id})
            assert (error["type"], error["code"]) == ("error", "forbidden")
        for chat_id in (f"{users.chat_id}#{users.mallory}", f"{users.alice}#{users.alice}"):
            error = mallory.ask({"action": "getmessages", "chatId": chat_id})
            assert (error["type"], error["code"]) == ("error", "invalid_request")


def test_catch_up_on_an_open_connection_has_no_messages_of_other_users(
    attacked: AttackedBackend, users: Users
) -> None:
    with (
        attacked.device(users.alice) as alice,
        attacked.device(users.mallory) as mallory,
    ):
        alice.say(users.chat_id, "for bob alone")
        synced = mallory.ask({"action": "getmessages", "since": 0, "userId": users.bob})
        assert (synced["type"], synced["count"]) == ("synced", 0)


def test_receipt_is_of_the_user_of_the_connection(attacked: AttackedBackend, users: Users) -> None:
    with attacked.device(users.alice) as alice, attacked.device(users.mallory) as mallory:
        sent = alice.say(users.chat_id, "for bob alone")
        claim = {"action": "sendmessage", "read": sent["timestamp"], "userId": users.bob}
        assert mallory.ask({**claim, "chatId": users.chat_id})["code"] == "forbidden"
        own = f"{users.alice}#{users.mallory}"
        sent = mallory.say(own, "hello")
        assert alice.receive()["type"] == "message"
        assert mallory.ask({**claim, "chatId": own})["type"] == "ack"
        assert alice.receive()["userId"] == users.mallory


def test_catch_up_of_another_user_needs_a_token_of_that_user(
    token_backend: AttackedBackend, users: Users
) -> None:
    assert token_backend.issuer is not None
    own = token_backend.issuer.token(users.mallory)
    assert token_backend.refused_status(userId=users.bob, since="0") == 401
    assert token_backend.refused_status(userId=users.bob, since="0", token="") == 401
    assert token_backend.refused_status(userId=users.bob, since="0", token=own) == 403


def new_file_key(attacked: AttackedBackend, users: Users) -> str:
    """Request an upload link as Alice, and return the file's key."""
    with attacked.device(users.alice) as alice:
        frame = {
            "action": "sendfile",
            "chatId": users.chat_id,
            "fileName": "a.jpg",
            "contentType": "image/jpeg",
        }
        file_key: str = alice.ask(frame)["fileKey"]
        return file_key


@pytest.mark.parametrize(
    "spelling",
    [
        "{key}",
        "{own}/../{key}",
        "{own}/x/../../{key}",
        "{own}/..%2f{key}",
        "/{key}",
        "./{key}",
        "{own}\u0000/{key}",
    ],
)
def test_user_outside_a_chat_cannot_fetch_its_file(
    attacked: AttackedBackend, users: Users, spelling: str
) -> None:
    own = f"{users.bob}#{users.mallory}"
    key = spelling.format(key=new_file_key(attacked, users), own=own)
    with attacked.device(users.mallory) as mallory:
        for action in ("sendmessage", "sendfile"):
            for chat_id in (own, users.chat_id):
                frame = {"action": action, "chatId": chat_id, "fileKey": key}
                assert mallory.ask(frame)["code"] in REFUSED


def test_file_name_with_a_path_to_another_chat_is_refused(
    attacked: AttackedBackend, users: Users
) -> None:
    frame = {
        "action": "sendfile",
        "chatId": f"{users.bob}#{users.mallory}",
        "fileName": f"../../{users.chat_id}/x/a.jpg",
        "contentType": "image/jpeg",
    }
    with attacked.device(users.mallory) as mallory:
        assert mallory.ask(frame)["code"] == "invalid_request"


def test_user_outside_a_chat_cannot_upload_into_it(attacked: AttackedBackend, users: Users) -> None:
    frame = {
        "action": "sendfile",
        "chatId": users.chat_id,
        "fileName": "a.jpg",
        "contentType": "image/jpeg",
    }
    with attacked.device(users.mallory) as mallory:
        assert mallory.ask(frame)["code"] == "forbidden"
