import pytest

from chat.client_frame import ClientFrame
from chat.errors import InvalidRequest


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        "{",
        '{"action":}',
        '{"size": NaN}',
        '{"size": -Infinity}',
        "[" * 100_000,
        "1" * 5000,
    ],
    ids=["empty", "bare word", "cut off", "no value", "NaN", "Infinity", "nested", "huge number"],
)
def test_body_that_is_not_json_is_refused(body: str) -> None:
    with pytest.raises(InvalidRequest, match="must be JSON"):
        ClientFrame.parse(body)


@pytest.mark.parametrize("body", ["null", "1", '"text"', "[]", '[{"action": "sendmessage"}]'])
def test_json_that_is_no_object_is_refused(body: str) -> None:
    with pytest.raises(InvalidRequest, match="JSON object"):
        ClientFrame.parse(body)


@pytest.mark.parametrize(
    "body",
    [
        '{"chatId": "a#b", "chatId": "a#c"}',
        '{"text": "x", "text": "x"}',
        '{"text": "x", "\\u0074ext": "y"}',
        '{"new": [{"a": 1, "a": 2}]}',
    ],
)
def test_repeated_field_is_refused(body: str) -> None:
    with pytest.raises(InvalidRequest, match="twice"):
        ClientFrame.parse(body)


@pytest.mark.parametrize("text", ["\0", "a\0b", "a\0"])
def test_string_with_nul_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="`text` must not hold the character NUL"):
        ClientFrame({"text": text}).string("text", max_length=4)


@pytest.mark.parametrize("text", ["\u202eabc", "\u200d", "\u2028", "\x1b[0m", "\ufffe", "e\u0301"])
def test_string_with_another_special_character_is_unchanged(text: str) -> None:
    assert ClientFrame({"text": text}).string("text", max_length=8) == text


def test_string_is_read_unchanged() -> None:
    assert (
        ClientFrame.parse('{"text": " \\u00e9\\ud83d\\ude00 "}').string("text", max_length=4)
        == " é😀 "
    )


def test_string_length_is_counted_in_characters_not_bytes() -> None:
    assert ClientFrame({"text": "😀" * 4}).string("text", max_length=4) == "😀" * 4
    with pytest.raises(InvalidRequest, match="1 to 4 characters"):
        ClientFrame({"text": "😀" * 5}).string("text", max_length=4)


def test_missing_string_is_named_in_the_error() -> None:
    with pytest.raises(InvalidRequest, match="`text` is missing"):
        ClientFrame({}).string("text", max_length=4)


def test_empty_string_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="`text` must have 1 to 4"):
        ClientFrame({"text": ""}).string("text", max_length=4)


@pytest.mark.parametrize("value", [1, True, [], {}], ids=str)
def test_value_that_is_no_string_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest, match="`text` must be a string"):
        ClientFrame({"text": value}).optional_string("text", max_length=4)


@pytest.mark.parametrize("spelling", ['"\\ud800"', '"a\\udfffb"'])
def test_string_with_half_a_surrogate_pair_is_refused(spelling: str) -> None:
    with pytest.raises(InvalidRequest, match="valid Unicode"):
        ClientFrame.parse(f'{{"text": {spelling}}}').string("text", max_length=4)


def test_absent_optional_field_is_none() -> None:
    assert ClientFrame({}).optional_string("text", max_length=4) is None
    assert ClientFrame({}).optional_whole_number("size") is None


def test_whole_number_is_read() -> None:
    assert ClientFrame.parse('{"size": 0}').optional_whole_number("size") == 0
    assert (
        ClientFrame.parse('{"size": 9007199254740993}').optional_whole_number("size") == 2**53 + 1
    )


@pytest.mark.parametrize(("spelling", "value"), [("48213.0", 48213), ("1e3", 1000), ("-0.0", 0)])
def test_whole_number_may_be_written_with_a_fraction_or_an_exponent(
    spelling: str, value: int
) -> None:
    assert ClientFrame.parse(f'{{"size": {spelling}}}').whole_number("size") == value


def test_field_that_is_null_is_absent() -> None:
    frame = ClientFrame.parse('{"text": null, "size": null}')
    assert not frame.has("text")
    assert frame.optional_string("text", max_length=4) is None
    assert frame.optional_whole_number("size") is None
    with pytest.raises(InvalidRequest, match="`text` is missing"):
        frame.string("text", max_length=4)


@pytest.mark.parametrize("spelling", ["-1", "1.5", "-1.0", "1e999", '"1"', "true", "[1]"])
def test_value_that_is_no_whole_number_is_refused(spelling: str) -> None:
    with pytest.raises(InvalidRequest, match="`size` must be a whole number"):
        ClientFrame.parse(f'{{"size": {spelling}}}').optional_whole_number("size")
