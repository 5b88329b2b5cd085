import re
from email.message import EmailMessage
from urllib.parse import unquote

import pytest

from chat.files import disposition

NAMES = [
    "a.jpg",
    "a b.jpg",
    'say "hello".txt',
    "it's; a=b, c.txt",
    "back\\slash",
    "100%.txt",
    "a%23b.txt",
    "naïve café.txt",
    "cafe\u0301.txt",
    "写真.jpg",
    "שלום\u200f.pdf",
    "😀👩\u200d👩\u200d👧.png",
    pytest.param("😀" * 182, id="182 emojis"),
    "~!@#$^&*()_+-=[]{}|:<>?.txt",
]


def parse(header: str) -> tuple[str, str]:
    """Parse a header as RFC 6266 says: return its type, and the file name that clients prefer."""
    extended = re.search(r"filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]+)$", header)
    quoted = re.search(r'; filename="([^"\\]*)"', header)
    assert quoted
    return header.partition(";")[0], unquote(extended[1]) if extended else quoted[1]


@pytest.mark.parametrize("name", NAMES)
def test_header_has_the_file_name_unchanged(name: str) -> None:
    assert parse(disposition("attachment", name)) == ("attachment", name)
    assert parse(disposition("inline", name)) == ("inline", name)


@pytest.mark.parametrize("name", NAMES)
def test_parser_of_the_email_package_reads_the_file_name(name: str) -> None:
    message = EmailMessage()
    message["Content-Disposition"] = disposition("attachment", name)
    fallback = re.sub(r"[^ !#-$&-\[\]-~]", "_", name)
    assert message["Content-Disposition"].content_disposition == "attachment"
    assert message.get_filename() in {name, fallback}


@pytest.mark.parametrize("name", NAMES)
def test_header_is_printable_ascii_in_one_line(name: str) -> None:
    assert re.fullmatch(r"[ -~]+", disposition("attachment", name))


def test_plain_file_name_needs_no_extended_parameter() -> None:
    assert disposition("attachment", "a b.jpg") == 'attachment; filename="a b.jpg"'


def test_fallback_file_name_replaces_special_characters() -> None:
    expected = (
        "attachment; filename=\"na_ve _100__.txt\"; filename*=UTF-8''na%C3%AFve%20%22100%25%22.txt"
    )
    assert disposition("attachment", 'naïve "100%".txt') == expected
