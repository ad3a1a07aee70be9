"""How often an address and a project may be written to without a secret."""

from __future__ import annotations


class RateLimits:
    def admit(self, peer: str | None, project: str) -> None:
        """Raises TooManyRequests."""
