"""The header ``Content-Disposition``: what a browser does with a file, and what it calls it."""

from urllib.parse import quote

# RFC 8187, section 3.2.1: what may stand in an extended value as it is, beside letters and digits.
_PLAIN = "!#$&+-.^_`|~"


def attachment(name: str) -> str:
    """Have it saved under its name."""
    return f"attachment; {_called(name)}"


def inline(name: str) -> str:
    """Have it shown in place, and saved under its name by whoever saves it."""
    return f"inline; {_called(name)}"


def _called(name: str) -> str:
    """Write the name for clients new and old, in ASCII.

    In RFC 6266, section 4.3 and appendix D, those who know ``filename*`` (which RFC 8187 encodes;
    it follows RFC 5987) prefer it, so the other may be an approximation. It holds nothing that
    clients disagree on how to read: quotes, backslashes and percent signs.
    """
    safe = "".join(char if _is_safe(char) else "_" for char in name)
    if safe == name:
        return f'filename="{name}"'
    return f"filename=\"{safe}\"; filename*=UTF-8''{quote(name, safe=_PLAIN)}"


def _is_safe(char: str) -> bool:
    return " " <= char <= "~" and char not in '"\\%'
