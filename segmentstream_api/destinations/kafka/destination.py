"""Writes each event to a topic of Apache Kafka. Needs the extra `kafka` (confluent-kafka).

Sources: https://docs.confluent.io/platform/current/clients/confluent-kafka-python/html/ and
librdkafka's CONFIGURATION.md. What talks to Kafka is in `kafka_client.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from segmentstream_api.destinations.optional import Client, ExtraDestination

_FILES = ("ca_file", "certificate_file", "key_file")
_ONLY_WITH_TLS = (*_FILES, "key_password")


def _file(description: str) -> dict[str, Any]:
    return {"description": description, "type": "string", "format": "path", "minLength": 1}


def _secret(description: str) -> dict[str, Any]:
    return {"description": description, "type": "string", "minLength": 1, "writeOnly": True}


class Kafka(ExtraDestination):
    """`Delivered` means that all in-sync replicas have the message (acks=all)."""

    type_name = "kafka"
    display_name = "Kafka"
    extra = "kafka"
    library = "confluent_kafka"
    maps_events = False
    batch_size = 500
    settings_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "bootstrap_servers": {
                "description": "Brokers to ask for the others: host:port, separated by commas.",
                "type": "string",
                "pattern": "^[^\\s,]+(,[^\\s,]+)*$",
            },
            "topic": {
                "description": "The topic to write to.",
                "type": "string",
                # Source: Kafka's org.apache.kafka.common.internals.Topic.
                "pattern": "^[A-Za-z0-9._-]{1,249}$",
            },
            "tls": {
                "description": "Whether the connection is encrypted (the SSL protocols of Kafka).",
                "type": "boolean",
                "default": False,
            },
            "ca_file": _file("PEM file of the trusted authorities instead of the system's."),
            "certificate_file": _file("PEM file of the client's certificate, for mutual TLS."),
            "key_file": _file("PEM file of that certificate's key."),
            "key_password": _secret("The password of `key_file`, if it has one."),
            "username": {
                "description": "The SASL user; without it there is no SASL.",
                "type": "string",
                "minLength": 1,
            },
            "password": _secret("The SASL password."),
            "sasl_mechanism": {
                "description": "How the password is proven.",
                "enum": ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
                "default": "PLAIN",
            },
            "timeout_seconds": {
                "description": "How long a batch of events may take until the brokers have it.",
                "type": "number",
                "minimum": 2,  # librdkafka looks for expired messages once a second
                "maximum": 60,
                "default": 10,
            },
        },
        "dependentRequired": {
            "username": ["password"],
            "password": ["username"],
            "certificate_file": ["key_file"],
            "key_file": ["certificate_file"],
            "key_password": ["key_file"],
        },
        "required": ["bootstrap_servers", "topic"],
        "additionalProperties": False,
    }

    def make_client(self) -> Client:
        from segmentstream_api.destinations.kafka.client import (  # noqa: PLC0415 - needs the extra
            KafkaClient,
        )

        return KafkaClient(self.settings)

    def check(self) -> list[str]:
        given = self.settings
        needless = [name for name in _ONLY_WITH_TLS if name in given and not given["tls"]]
        missing = [name for name in _FILES if name in given and not Path(given[name]).is_file()]
        return [
            *super().check(),
            *(f"{name}: has no use without tls = true" for name in needless),
            *(f"{name}: there is no file {given[name]}" for name in missing),
        ]
