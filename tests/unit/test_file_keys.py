import pytest

from chat.chats import Chat
from chat.client_frame import ClientFrame
from chat.errors import Forbidden, InvalidRequest, NotFound
from chat.file_keys import key_in, name_in, new_key
from chat.identity import UserId

CHAT = Chat((UserId("user123"), UserId("user456")))
FOLDER = "0ed1a8c2-9d5f-4a43-8a8e-000000000001"
COMPOSED, DECOMPOSED = "caf\u00e9.txt", "cafe\u0301.txt"


def named(name: object) -> str:
    return new_key(ClientFrame({"fileName": name}), CHAT)


def read(key: object) -> str | None:
    return key_in(ClientFrame({"fileKey": key}), CHAT)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "x" * 255,
        "😀" * 182,
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
def test_a_name_is_kept_as_it_is_and_its_key_can_be_read_again(name: str) -> None:
    key = named(name)
    assert key.startswith("user123#user456/")
    assert name_in(key) == name
    assert read(key) == key


def test_no_two_files_share_a_key() -> None:
    assert named("a") != named("a")


def test_names_that_differ_in_unicode_form_are_two_names() -> None:
    assert name_in(named(COMPOSED)) != name_in(named(DECOMPOSED))


@pytest.mark.parametrize("name", ["a/b", "../a", "/", "a\\b", "..\\a", ".", ".."])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="`fileName` must not"):
        named(name)


@pytest.mark.parametrize("char", list("\x00\t\n\r\x1b\x7f\x85\x9f\u2028\u2029"))
def test_a_name_of_several_lines_or_with_controls_is_refused(char: str) -> None:
    with pytest.raises(InvalidRequest, match="`fileName` must not"):
        named(f"a{char}.jpg")


@pytest.mark.parametrize("char", list("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
def test_a_name_that_turns_the_direction_of_writing_is_refused(char: str) -> None:
    with pytest.raises(InvalidRequest, match="direction of writing"):
        named(f"photo_{char}gpj.exe")


@pytest.mark.parametrize("name", ["", "x" * 256, None, 7, ["a"]])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidRequest, match="`fileName`"):
        named(name)


def test_a_name_that_s3_could_not_hold_is_refused() -> None:
    longest = "😀" * 242 + "x" * 3
    chat = Chat((UserId("a"), UserId("b")))
    assert len(new_key(ClientFrame({"fileName": longest}), chat).encode()) == 1012
    with pytest.raises(InvalidRequest, match="Shorten it"):
        new_key(ClientFrame({"fileName": "😀" * 255}), chat)


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
def test_a_key_that_does_not_lie_in_the_chat_is_forbidden(key: str) -> None:
    with pytest.raises(Forbidden, match="`fileKey` must be of a file in this chat"):
        read(key)


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
        f"{FOLDER}/{'😀' * 255}",
    ],
)
def test_a_key_that_no_upload_ever_had_is_not_found(rest: str) -> None:
    with pytest.raises(NotFound, match="exactly as"):
        read(f"user123#user456/{rest}")


@pytest.mark.parametrize("key", ["", None, 7, ["x"], "x" * 1025, "\ud800"])
def test_what_is_no_key_is_refused(key: object) -> None:
    with pytest.raises(InvalidRequest, match="`fileKey`"):
        read(key)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(InvalidRequest, match="`fileKey` is missing"):
        key_in(ClientFrame({}), CHAT)
