"""The header ``Content-Disposition``: show a file or save it, and under which name."""

from urllib.parse import quote

# What an extended value holds unescaped, in addition to letters and digits: RFC 8187, 3.2.1.
_UNESCAPED = "!#$&+-.^_`|~"


def attachment(name: str) -> str:
    """Return the value that makes a browser save a file under its name."""
    return f"attachment; {_name_parameters(name)}"


def inline(name: str) -> str:
    """Return the value that makes a browser show a file, and save it under its name."""
    return f"inline; {_name_parameters(name)}"


def _name_parameters(name: str) -> str:
    """Write the name in ASCII, for new clients and old ones.

    Clients that know ``filename*`` (RFC 8187) prefer it, so that ``filename`` may be an
    approximation (RFC 6266, section 4.3 and appendix D). It holds no quotes, backslashes and
    percent signs, which clients read in different ways.
    """
    safe = "".join(char if _is_safe(char) else "_" for char in name)
    if safe == name:
        return f'filename="{name}"'
    return f"filename=\"{safe}\"; filename*=UTF-8''{quote(name, safe=_UNESCAPED)}"


def _is_safe(char: str) -> bool:
    return " " <= char <= "~" and char not in '"\\%'
