"""The connection of one process to BigQuery. Made by `bigquery.py`.

The library retries by itself, for ten minutes unless told otherwise. It is told not to retry at
all: that is the outbox's business, which knows the delays and survives a restart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import google.auth
from google.api_core.client_info import ClientInfo
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import NotFound
from google.api_core.retry import Retry, if_exception_type
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.oauth2 import service_account

from segmentstream_api.destinations.base import Delivery, Outcome
from segmentstream_api.destinations.bigquery.outcomes import FOREIGN, failed, row_outcomes
from segmentstream_api.destinations.bigquery.row import row_of, table_of
from segmentstream_api.destinations.bigquery.session import Session
from segmentstream_api.destinations.transport.batch import in_one_request, shared
from segmentstream_api.errors import DestinationUnusable
from segmentstream_api.version import package_version

_MAX_BYTES = 9_500_000
"""The limit of a request is 10 MB (quotas, "Streaming inserts"); its own words need a little."""

_ONCE = Retry(predicate=if_exception_type())  # of no type: nothing is tried again
_SCOPES = ("https://www.googleapis.com/auth/bigquery",)


class BigQueryClient:
    """For several threads at once, as requests' sessions are."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Raises DestinationUnusable if there are no credentials."""
        self._timeout_seconds = float(settings["timeout_seconds"])
        self._location: str | None = settings.get("location")
        dataset = bigquery.DatasetReference(settings["project"], settings["dataset"])
        self._table = bigquery.TableReference(dataset, settings["table"])
        self._client = bigquery.Client(
            settings["project"],
            _http=Session(credentials_of(settings), self._timeout_seconds),
            client_info=ClientInfo(user_agent=f"segmentstream-api/{package_version()}"),
            client_options=ClientOptions(api_endpoint=_base_url(settings)),
        )

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        return in_one_request(
            deliveries,
            # As the library writes it, so that its length is known.
            lambda delivery: json.dumps(
                {"json": row_of(delivery), "insertId": delivery.key}
            ).encode(),
            self._insert,
            most_bytes=_MAX_BYTES,
        )

    def setup(self) -> str:
        """Makes the table, and the dataset if `location` says where."""
        try:
            try:
                self._make_table()
            except NotFound:
                self._make_dataset()
                self._make_table()
        except FOREIGN as error:
            raise DestinationUnusable(failed(error, self._timeout_seconds).reason) from None
        return f"the table {self._table} is there"

    def close(self) -> None:
        self._client.close()

    def _insert(self, rows: Sequence[bytes]) -> Sequence[Outcome]:
        read = [json.loads(row) for row in rows]
        try:
            errors = self._client.insert_rows_json(
                self._table,
                [row["json"] for row in read],
                row_ids=[row["insertId"] for row in read],
                skip_invalid_rows=True,  # one row's fault does not keep its neighbours out
                retry=_ONCE,
                timeout=self._timeout_seconds,
            )
            return row_outcomes(errors, len(rows))
        except FOREIGN as error:
            return shared(failed(error, self._timeout_seconds), len(rows))

    def _make_table(self) -> None:
        self._client.create_table(
            table_of(self._table), exists_ok=True, retry=_ONCE, timeout=self._timeout_seconds
        )

    def _make_dataset(self) -> None:
        name = f"{self._table.project}.{self._table.dataset_id}"
        if self._location is None:
            raise DestinationUnusable(
                f"there is no dataset {name}; make it, or say where with `location`"
            )
        dataset = bigquery.Dataset(name)
        dataset.location = self._location
        self._client.create_dataset(
            dataset, exists_ok=True, retry=_ONCE, timeout=self._timeout_seconds
        )


def credentials_of(settings: Mapping[str, Any]) -> Credentials | AnonymousCredentials:
    if _base_url(settings).startswith("http://"):
        return AnonymousCredentials()
    path = settings.get("credentials_file")
    credentials: Credentials
    try:
        if path is None:
            credentials, _project = google.auth.default(scopes=_SCOPES)
        else:
            credentials = service_account.Credentials.from_service_account_file(
                path, scopes=_SCOPES
            )
    except OSError as error:
        raise DestinationUnusable(f"{path} cannot be read: {error.strerror}") from None
    except (GoogleAuthError, ValueError):  # their texts may quote the file
        place = f"{path} is no key file of a service account" if path else "there are none"
        raise DestinationUnusable(f"Google's credentials: {place}") from None
    return credentials


def _base_url(settings: Mapping[str, Any]) -> str:
    url: str = settings.get("base_url", "https://bigquery.googleapis.com")
    return url.rstrip("/")
