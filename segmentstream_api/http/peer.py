"""The address of the client, where proxies stand between it and the service."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Peers:
    """Believes `X-Forwarded-For` only as far as trusted proxies wrote it."""

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        self._trusted: tuple[Network, ...] = tuple(map(ipaddress.ip_network, trusted_proxies))
        self._is_trusted = lru_cache(maxsize=256)(self._in_trusted_network)

    def address(self, environ: Mapping[str, Any]) -> str | None:
        """The client's address; None if a proxy does not say it.

        Each proxy adds the address that it was called from at the end, so that it is read from
        there. A unix socket has no address, and its permissions say who is trusted.
        """
        peer = environ.get("REMOTE_ADDR") or None
        chain = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        while (peer is None or self._is_trusted(peer)) and chain:
            claimed = _address(chain.pop())
            if claimed is None:
                break
            peer = claimed
        return peer

    def _in_trusted_network(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return None
