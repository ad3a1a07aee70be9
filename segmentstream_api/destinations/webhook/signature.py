"""Standard Webhooks 1.0.0 signatures (spec/standard-webhooks.md). Used by `webhook.py`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"

MIN_KEY_BYTES = 24
"""Between 24 and 64 random bytes, says the specification, "Signature scheme"."""


def signed_headers(
    message_id: str, timestamp: int, body: bytes, secrets: Sequence[str]
) -> dict[str, str]:
    """Id, timestamp, and one signature for each secret; no signature if there is none.

    What is signed is `id.timestamp.body`, so neither id nor timestamp may hold a dot.
    """
    headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = [_signature(signing_key(secret), content) for secret in secrets]
    return headers | ({"webhook-signature": " ".join(signatures)} if signatures else {})


def signing_key(secret: str) -> bytes:
    """The bytes in base64 after `whsec_`; of any other text, the text itself in UTF-8.

    Receivers' libraries take the latter in base64. Raises ValueError if it is not base64.
    """
    if not secret.startswith(PREFIX):
        return secret.encode()
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


def secret_problem(secret: str) -> str | None:
    """What is wrong with it, in words that do not show it."""
    try:
        key = signing_key(secret)
    except (binascii.Error, ValueError):
        return f"what follows {PREFIX} must be base64"
    if secret.startswith(PREFIX) and len(key) < MIN_KEY_BYTES:
        return f"{PREFIX} must be followed by the base64 of at least {MIN_KEY_BYTES} bytes"
    return None


def _signature(key: bytes, content: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
