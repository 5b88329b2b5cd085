"""Which `Host` headers name this machine."""

import pytest

from local.server.hosts import is_ours


@pytest.mark.parametrize(
    ("host", "allowed", "expected"),
    [
        ("127.0.0.1:3001", (), True),
        ("127.0.0.1", (), True),
        ("LocalHost:3001", (), True),
        ("[::1]:3001", (), True),
        ("bucket.localhost:4566", (), True),
        ("evil.example:3001", (), False),
        ("localhost.evil.example", (), False),
        ("127.0.0.1.evil.example", (), False),
        ("evil.127.0.0.1", (), False),
        ("notlocalhost", (), False),
        ("127.0.0.1@evil.example", (), False),
        ("192.168.1.5:3001", (), False),
        ("", (), False),
        ("192.168.1.5:3001", ("192.168.1.5",), True),
        ("192.168.1.6:3001", ("192.168.1.5",), False),
        ("laptop.local", ("laptop.local",), True),
        ("bucket.laptop.local:80", ("laptop.local",), True),
        ("evil-laptop.local", ("laptop.local",), False),
        ("10.1.2.3:3001", ("::",), True),
        ("[fe80::1]:3001", ("::",), True),
        ("evil.example", ("::",), False),
        ("evil.[::]", ("::",), False),
    ],
)
def test_host_is_ours(host: str, allowed: tuple[str, ...], *, expected: bool) -> None:
    assert is_ours(host, frozenset(allowed)) is expected
