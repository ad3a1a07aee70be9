"""Whose address counts, where proxies stand in between."""

from __future__ import annotations

import pytest

from segmentstream_api.http.peer import Peers


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "6.6.6.6, junk", "127.0.0.1"),
        ("10.9.9.9", "2001:db8::1", "2001:db8::1"),
        ("", "198.51.100.1", "198.51.100.1"),
        ("", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("", None, None),
        ("", "junk", None),
    ],
)
def test_the_chain_is_read_from_its_end_as_far_as_it_is_trusted(remote, forwarded, address):
    environ = {"REMOTE_ADDR": remote}
    if forwarded is not None:
        environ["HTTP_X_FORWARDED_FOR"] = forwarded
    assert Peers(["127.0.0.1", "10.0.0.0/8"]).address(environ) == address
