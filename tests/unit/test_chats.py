import pytest

from chat.chats import Chat, UserId
from chat.client_frame import ClientFrame
from chat.errors import Forbidden, InvalidRequest


def chat(chat_id: object) -> Chat:
    return Chat.from_frame(ClientFrame({"chatId": chat_id}))


@pytest.mark.parametrize("chat_id", ["user123#user456", "user456#user123"])
def test_chat_id_in_either_order_is_the_same_chat(chat_id: str) -> None:
    assert chat(chat_id).id == "user123#user456"


def test_chat_id_is_sorted_by_code_points() -> None:
    assert chat("a#B").id == "B#a"


def test_chat_id_of_two_user_ids_of_128_characters_is_accepted() -> None:
    assert chat(f"{'b' * 128}#{'a' * 128}").id == f"{'a' * 128}#{'b' * 128}"


@pytest.mark.parametrize(
    "chat_id",
    [
        "user123",
        "#",
        "user123#",
        "#user456",
        "user123#user123",
        "a#b#c",
        "a##b",
        "a b#c",
        "a#b\n",
        pytest.param(f"a#{'b' * 129}", id="user id of 129 characters"),
        "",
        None,
        7,
        pytest.param(["user123", "user456"], id="list"),
    ],
)
def test_malformed_chat_id_is_refused(chat_id: object) -> None:
    with pytest.raises(InvalidRequest, match="`chatId`"):
        chat(chat_id)


def test_missing_chat_id_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="`chatId` is missing"):
        Chat.from_frame(ClientFrame({}))


@pytest.mark.parametrize(("user_id", "partner"), [("a", "b"), ("b", "a")])
def test_partner_is_the_other_member(user_id: str, partner: str) -> None:
    assert chat("a#b").partner_of(UserId(user_id)) == partner


@pytest.mark.parametrize("user_id", ["c", "A", "", "a#b"])
def test_user_outside_the_chat_is_forbidden(user_id: str) -> None:
    with pytest.raises(Forbidden, match="not in this chat"):
        chat("a#b").partner_of(UserId(user_id))
