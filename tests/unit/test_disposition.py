import re
from email.message import EmailMessage
from urllib.parse import unquote

import pytest

from chat.disposition import attachment, inline

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
    "😀" * 182,
    "~!@#$^&*()_+-=[]{}|:<>?.txt",
]


def read(header: str) -> tuple[str, str]:
    """Read a header as RFC 6266 has it read: its type, and the name that is preferred."""
    extended = re.search(r"filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]+)$", header)
    quoted = re.search(r'; filename="([^"\\]*)"', header)
    assert quoted
    return header.partition(";")[0], unquote(extended[1]) if extended else quoted[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_called_by_its_own_name(name: str) -> None:
    assert read(attachment(name)) == ("attachment", name)
    assert read(inline(name)) == ("inline", name)


@pytest.mark.parametrize("name", NAMES)
def test_a_parser_that_is_not_ours_reads_the_same(name: str) -> None:
    message = EmailMessage()
    message["Content-Disposition"] = attachment(name)
    fallback = re.sub(r"[^ !#-$&-\[\]-~]", "_", name)
    assert message["Content-Disposition"].content_disposition == "attachment"
    assert message.get_filename() in {name, fallback}


@pytest.mark.parametrize("name", NAMES)
def test_the_header_is_plain_ascii_in_one_line(name: str) -> None:
    assert re.fullmatch(r"[ -~]+", attachment(name))


def test_a_plain_name_is_written_plainly() -> None:
    assert attachment("a b.jpg") == 'attachment; filename="a b.jpg"'


def test_an_old_client_gets_a_name_that_it_can_read() -> None:
    expected = (
        "attachment; filename=\"na_ve _100__.txt\"; filename*=UTF-8''na%C3%AFve%20%22100%25%22.txt"
    )
    assert attachment('naïve "100%".txt') == expected
