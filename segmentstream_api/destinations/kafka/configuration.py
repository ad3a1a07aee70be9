"""Our settings → librdkafka's properties, and its logs without our secrets.

Used by `kafka_client.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

_REPORT_MARGIN_SECONDS = 1.5
"""librdkafka looks for expired messages once a second, so their reports come that much later."""


def producer_configuration(settings: Mapping[str, Any]) -> dict[str, Any]:
    """librdkafka's properties for these settings (CONFIGURATION.md)."""
    delivery_ms = int((settings["timeout_seconds"] - _REPORT_MARGIN_SECONDS) * 1000)
    sasl, tls = "username" in settings, settings["tls"]
    properties = {
        "bootstrap.servers": settings["bootstrap_servers"],
        "client.id": "segmentstream-api",
        "acks": "all",
        "enable.idempotence": True,  # librdkafka's own retries neither duplicate nor reorder
        "delivery.timeout.ms": delivery_ms,
        "linger.ms": 0,
        # As the Java client's: a user's events stay together, whoever writes them.
        "partitioner": "murmur2_random",
        # A topic that is not there is reported before the message expires.
        "topic.metadata.propagation.max.ms": delivery_ms // 2,
        "security.protocol": ("SASL_" if sasl else "") + ("SSL" if tls else "PLAINTEXT"),
        "ssl.ca.location": settings.get("ca_file"),
        "ssl.certificate.location": settings.get("certificate_file"),
        "ssl.key.location": settings.get("key_file"),
        "ssl.key.password": settings.get("key_password"),
        "sasl.mechanism": settings["sasl_mechanism"] if sasl else None,
        "sasl.username": settings.get("username"),
        "sasl.password": settings.get("password"),
    }
    return {name: value for name, value in properties.items() if value is not None}


class SafeLog(logging.LoggerAdapter[logging.Logger]):
    """What librdkafka logs through; of the secrets, dots."""

    def __init__(self, logger: logging.Logger, secrets: Sequence[str]) -> None:
        super().__init__(logger)
        self._secrets = secrets

    def log(self, level: int, msg: object, *args: object, **options: Any) -> None:
        text = str(msg) % args if args else str(msg)
        super().log(level, "%s", without(self._secrets, text), **options)


def secrets_of(settings: Mapping[str, Any]) -> list[str]:
    return [settings[name] for name in ("password", "key_password") if name in settings]


def without(secrets: Sequence[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "…")
    return text
