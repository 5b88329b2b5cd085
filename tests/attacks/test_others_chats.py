"""Mallory tries to write into, and to read from, the chat of Alice and Bob."""

import pytest

from tests.attacks.conftest import Cast, Deployment

REFUSED = {"forbidden", "invalid_request", "not_found"}


def test_writing_into_it(deployment: Deployment, people: Cast) -> None:
    with (
        deployment.device(people.mallory) as mallory,
        deployment.device(people.bob) as bob,
        deployment.device(people.alice) as alice,
    ):
        for chat_id in (people.chat_id, f"{people.bob}#{people.alice}"):
            assert mallory.say(chat_id, "psst")["code"] == "forbidden"
        alice.say(people.chat_id, "the first that arrives")
        assert bob.receive()["text"] == "the first that arrives"


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
def test_a_chat_id_that_could_be_read_in_two_ways(
    deployment: Deployment, people: Cast, chat_id: str
) -> None:
    spelled = chat_id.format(alice=people.alice, bob=people.bob, mallory=people.mallory)
    with deployment.device(people.mallory) as mallory:
        assert mallory.say(spelled, "x")["code"] == "invalid_request"


def test_a_frame_that_names_two_chats(deployment: Deployment, people: Cast) -> None:
    own, theirs = f"{people.alice}#{people.mallory}", people.chat_id
    with deployment.device(people.mallory) as mallory:
        for first, second in ((own, theirs), (theirs, own)):
            body = f'{{"action":"sendmessage","chatId":"{first}","text":"x","chatId":"{second}"}}'
            assert mallory.ask(body)["code"] == "invalid_request"


def test_reading_a_replay_of_what_others_got(deployment: Deployment, people: Cast) -> None:
    with deployment.device(people.alice) as alice:
        alice.say(people.chat_id, "for bob alone")
    with deployment.device(people.mallory, since="0") as mallory:
        synced = mallory.receive()
        assert (synced["type"], synced["count"]) == ("synced", 0)


def test_reading_anothers_replay_without_anothers_token(closed: Deployment, people: Cast) -> None:
    assert closed.issuer is not None
    own = closed.issuer.token(people.mallory)
    assert closed.refuses(userId=people.bob, since="0") == 401
    assert closed.refuses(userId=people.bob, since="0", token="") == 401
    assert closed.refuses(userId=people.bob, since="0", token=own) == 403


def upload(deployment: Deployment, people: Cast) -> str:
    """Have Alice ask for a link to upload a file, and give the file's key."""
    with deployment.device(people.alice) as alice:
        frame = {
            "action": "sendfile",
            "chatId": people.chat_id,
            "fileName": "a.jpg",
            "contentType": "image/jpeg",
        }
        file_key: str = alice.ask(frame)["fileKey"]
        return file_key


@pytest.mark.parametrize(
    "trick",
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
def test_fetching_a_file_of_it(deployment: Deployment, people: Cast, trick: str) -> None:
    own = f"{people.bob}#{people.mallory}"
    key = trick.format(key=upload(deployment, people), own=own)
    with deployment.device(people.mallory) as mallory:
        for action in ("sendmessage", "sendfile"):
            for chat_id in (own, people.chat_id):
                frame = {"action": action, "chatId": chat_id, "fileKey": key}
                assert mallory.ask(frame)["code"] in REFUSED


@pytest.mark.parametrize(
    "name",
    [
        "../../{chat}/x/a.jpg",
        "..",
        "a/b",
        "..\\a",
        "a\u0000.jpg",
        "a\r\nContent-Type: text/html",
        "photo\u202egpj.exe",
    ],
)
def test_a_file_name_that_leads_elsewhere_or_looks_like_another(
    deployment: Deployment, people: Cast, name: str
) -> None:
    frame = {
        "action": "sendfile",
        "chatId": f"{people.bob}#{people.mallory}",
        "fileName": name.format(chat=people.chat_id),
        "contentType": "image/jpeg",
    }
    with deployment.device(people.mallory) as mallory:
        assert mallory.ask(frame)["code"] == "invalid_request"


def test_uploading_into_it(deployment: Deployment, people: Cast) -> None:
    frame = {
        "action": "sendfile",
        "chatId": people.chat_id,
        "fileName": "a.jpg",
        "contentType": "image/jpeg",
    }
    with deployment.device(people.mallory) as mallory:
        assert mallory.ask(frame)["code"] == "forbidden"
