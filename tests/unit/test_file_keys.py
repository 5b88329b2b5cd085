import pytest

from chat.chats import Chat, UserId
from chat.client_frame import ClientFrame
from chat.errors import Forbidden, InvalidRequest, NotFound
from chat.file_keys import key_in, new_key

CHAT = Chat((UserId("user123"), UserId("user456")))
FOLDER = "0ed1a8c2-9d5f-4a43-8a8e-000000000001"
COMPOSED, DECOMPOSED = "caf\u00e9.txt", "cafe\u0301.txt"


def key_of(name: object) -> str:
    return new_key(ClientFrame({"fileName": name}), CHAT)


def parse(key: object) -> str:
    return key_in(ClientFrame({"fileKey": key}), CHAT)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        pytest.param("x" * 255, id="255 characters"),
        pytest.param("😀" * 157, id="157 emojis"),
        "naïve café.txt",
        "שלום\u200f.pdf",
        "می\u200cخواهم.pdf",
        "👩\u200d👩\u200d👧.png",
        "a b%23#?&+.txt",
        "..a",
        "...",
        " ",
        "'\"",
        COMPOSED,
        DECOMPOSED,
    ],
)
def test_file_name_is_unchanged_in_its_key_and_the_key_is_accepted(name: str) -> None:
    key = key_of(name)
    assert key.startswith("user123#user456/")
    assert key.rpartition("/")[2] == name
    assert parse(key) == key


def test_two_uploads_of_one_file_name_get_two_keys() -> None:
    assert key_of("a") != key_of("a")


def test_file_names_in_different_unicode_forms_stay_different() -> None:
    ends = [key_of(name).rpartition("/")[2] for name in (COMPOSED, DECOMPOSED)]
    assert ends == [COMPOSED, DECOMPOSED]


@pytest.mark.parametrize("name", ["a/b", "../a", "/", "a\\b", "..\\a", ".", ".."])
def test_file_name_with_a_path_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="`fileName` must not"):
        key_of(name)


@pytest.mark.parametrize("char", list("\x00\t\n\r\x1b\x7f\x85\x9f\u2028\u2029"))
def test_file_name_with_a_control_character_or_line_break_is_refused(char: str) -> None:
    with pytest.raises(InvalidRequest, match="`fileName` must not"):
        key_of(f"a{char}.jpg")


@pytest.mark.parametrize("char", list("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
def test_file_name_that_turns_the_direction_of_writing_is_refused(char: str) -> None:
    with pytest.raises(InvalidRequest, match="direction of writing"):
        key_of(f"photo_{char}gpj.exe")


@pytest.mark.parametrize(
    "name",
    ["", pytest.param("x" * 256, id="256 characters"), None, 7, pytest.param(["a"], id="list")],
)
def test_file_name_of_wrong_type_or_length_is_refused(name: object) -> None:
    with pytest.raises(InvalidRequest, match="`fileName`"):
        key_of(name)


def test_file_name_whose_key_is_too_long_for_s3_is_refused() -> None:
    for user_ids in (("a", "b"), ("a" * 128, "b" * 128)):
        chat = Chat((UserId(user_ids[0]), UserId(user_ids[1])))
        lengths = [length for length in range(256) if fits("😀" * length, chat)]
        assert len(new_key(ClientFrame({"fileName": "😀" * lengths[-1]}), chat).encode()) < 1024
        assert lengths == list(range(1, lengths[-1] + 1))
        assert lengths[-1] < 162
    assert fits("x" * 255, chat)


def fits(name: str, chat: Chat) -> bool:
    try:
        return bool(new_key(ClientFrame({"fileName": name}), chat))
    except InvalidRequest:
        return False


@pytest.mark.parametrize(
    "key",
    [
        f"user123#user457/{FOLDER}/a.jpg",
        f"user456#user123/{FOLDER}/a.jpg",
        f"user123#user4567/{FOLDER}/a.jpg",
        f"user123%23user456/{FOLDER}/a.jpg",
        f"/user123#user456/{FOLDER}/a.jpg",
        f"user123#user457/../user123#user456/{FOLDER}/a.jpg",
        "user123#user456",
        "user123#",
        "a.jpg",
    ],
)
def test_file_key_outside_the_chat_is_forbidden(key: str) -> None:
    with pytest.raises(Forbidden, match="`fileKey` must be of a file in this chat"):
        parse(key)


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "/",
        "a.jpg",
        FOLDER,
        f"{FOLDER}/",
        f"{FOLDER[:-1]}/a.jpg",
        f"{FOLDER.upper()}/a.jpg",
        f"{FOLDER}%2Fa.jpg",
        f"../user123#user457/{FOLDER}/a.jpg",
        f"{FOLDER}/../a.jpg",
        f"{FOLDER}/..",
        f"{FOLDER}/a/b.jpg",
        f"{FOLDER}//a.jpg",
        f"{FOLDER}/a\n",
        f"\n{FOLDER}/a",
        pytest.param(f"{FOLDER}/{'😀' * 255}", id="over 1024 bytes"),
    ],
)
def test_file_key_that_no_upload_can_have_is_not_found(rest: str) -> None:
    with pytest.raises(NotFound, match="exactly as"):
        parse(f"user123#user456/{rest}")


@pytest.mark.parametrize(
    "key",
    [
        "",
        None,
        7,
        pytest.param(["x"], id="list"),
        pytest.param("x" * 1025, id="1025 characters"),
        "\ud800",
    ],
)
def test_file_key_that_is_no_valid_string_is_refused(key: object) -> None:
    with pytest.raises(InvalidRequest, match="`fileKey`"):
        parse(key)


def test_missing_file_key_is_named_in_the_error() -> None:
    with pytest.raises(InvalidRequest, match="`fileKey` is missing"):
        key_in(ClientFrame({}), CHAT)
