import pytest

from chat.authentication import user_id_in
from chat.errors import InvalidRequest, Unauthorized


@pytest.mark.parametrize(
    "user_id",
    ["a", "user123", "A.z_9@x+y=:|-", "o'neil~1", pytest.param("u" * 128, id="128 characters")],
)
def test_valid_user_id_is_accepted(user_id: str) -> None:
    assert user_id_in({"userId": user_id}) == user_id


@pytest.mark.parametrize("query", [{}, {"userId": ""}, {"userid": "user123"}], ids=str)
def test_missing_user_id_is_unauthorized(query: dict[str, str]) -> None:
    with pytest.raises(Unauthorized, match="userId"):
        user_id_in(query)


@pytest.mark.parametrize(
    "user_id",
    [
        pytest.param("u" * 129, id="129 characters"),
        "a#b",
        "a/b",
        "a\n",
        "\na",
        "é",
        "ａ",
        "a\x00",
        "٣",
        "a,b",
        "😀",
    ],
)
def test_malformed_user_id_is_refused(user_id: str) -> None:
    with pytest.raises(InvalidRequest, match="`userId` must be"):
        user_id_in({"userId": user_id})


def test_space_in_a_user_id_is_read_as_plus() -> None:
    assert user_id_in({"userId": "ann chat@example.com"}) == "ann+chat@example.com"
