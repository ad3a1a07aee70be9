"""Streams each event into a BigQuery table. Needs the extra `bigquery` (google-cloud-bigquery).

Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll. What talks to
Google is in `bigquery_client.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from segmentstream_api.destinations.optional import Client, ExtraDestination
from segmentstream_api.destinations.transport.endpoint import BASE_URL, TIMEOUT, base_url_problems


class BigQuery(ExtraDestination):
    """`Delivered` means that BigQuery has the row; queries find it seconds later."""

    type_name = "bigquery"
    display_name = "Google BigQuery"
    extra = "bigquery"
    library = "google.cloud.bigquery"
    maps_events = False
    batch_size = 500  # Google's advice; 50,000 is the limit (quotas, "Streaming inserts")
    settings_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "project": {
                "description": "The id of the Google Cloud project that holds the dataset.",
                "type": "string",
                "pattern": "^[A-Za-z0-9.:-]+$",
            },
            "dataset": {
                "description": "The dataset that holds the table.",
                "type": "string",
                "pattern": "^[A-Za-z0-9_]{1,1024}$",
            },
            "table": {
                "description": "The table.",
                "type": "string",
                "pattern": "^[A-Za-z0-9_-]{1,1024}$",
                "default": "events",
            },
            "credentials_file": {
                "description": "Key file of a service account. Without it Google's Application "
                "Default Credentials are taken, such as those of the machine in Google's cloud.",
                "type": "string",
                "format": "path",
                "minLength": 1,
            },
            "location": {
                "description": "Where `destinations setup` makes the dataset if there is none, "
                "such as EU. Without it the dataset must exist.",
                "type": "string",
                "pattern": "^[A-Za-z0-9-]+$",
            },
            "base_url": {
                **BASE_URL,
                "description": "Where the API is instead of at Google, such as at a proxy. A plain "
                "http:// address is an emulator's: it is sent no credentials.",
            },
            "timeout_seconds": TIMEOUT,
        },
        "required": ["project", "dataset"],
        "additionalProperties": False,
    }

    def make_client(self) -> Client:
        from segmentstream_api.destinations.bigquery.client import (  # noqa: PLC0415 - needs the extra
            BigQueryClient,
        )

        return BigQueryClient(self.settings)

    def check(self) -> list[str]:
        return [
            *super().check(),
            *_file_problems(self.settings),
            *base_url_problems(self.settings),
        ]


def _file_problems(settings: Mapping[str, Any]) -> list[str]:
    given = settings.get("credentials_file")
    if given is None:
        return []
    if settings.get("base_url", "").startswith("http://"):
        return ["credentials_file: has no use, base_url is plain http://"]
    return [] if Path(given).is_file() else [f"credentials_file: there is no file {given}"]
