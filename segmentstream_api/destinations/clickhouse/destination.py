"""Inserts events as rows into a ClickHouse table, over HTTP.

Sources: https://clickhouse.com/docs/interfaces/http,
https://clickhouse.com/docs/guides/developer/deduplicating-inserts-on-retries. The table and its
deduplication were tried with version 26.9.

`insert_deduplication_token` stands for the rows of one request: the same rows again, in one
request again, are not inserted twice. But what failed together is retried one by one. If
ClickHouse had kept a batch whose answer was lost, its rows come a second time, and only the table
can make them one: by ReplacingMergeTree with the hit id in its sorting key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from segmentstream_api.destinations.base import (
    Delivered,
    Delivery,
    Destination,
    Outcome,
    Retry,
)
from segmentstream_api.destinations.clickhouse.errors import exception_code, exception_outcome
from segmentstream_api.destinations.clickhouse.table import (
    create_statement,
    insert_statement,
    row,
)
from segmentstream_api.destinations.transport.batch import in_one_request, shared
from segmentstream_api.destinations.transport.endpoint import BASE_URL, TIMEOUT, base_url_problems
from segmentstream_api.destinations.transport.sender import Answer, HttpSender, outcome_of
from segmentstream_api.errors import DestinationUnusable

MAX_REQUEST_BYTES = 10_000_000  # ours: what goes through any network within the time for a request
_IDENTIFIER = "^[A-Za-z_][A-Za-z0-9_]*$"


class ClickHouse(Destination):
    """One row for each event, the whole envelope in its last column."""

    type_name = "clickhouse"
    display_name = "ClickHouse"
    batch_size = 500
    settings_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "base_url": {
                **BASE_URL,
                "description": "The HTTP interface, such as http://localhost:8123 or, in "
                "ClickHouse Cloud, https://….clickhouse.cloud:8443.",
            },
            "database": {
                "description": "The database of the table.",
                "type": "string",
                "pattern": _IDENTIFIER,
                "default": "default",
            },
            "table": {
                "description": "The table; `segmentstream-api destinations setup` makes it.",
                "type": "string",
                "pattern": _IDENTIFIER,
                "default": "events",
            },
            "user": {
                "description": "Who inserts; needs INSERT on the table.",
                "type": "string",
                "pattern": "^[!-~]+$",
                "default": "default",
            },
            "password": {
                "description": "The user's password.",
                "type": "string",
                "pattern": "^[ -~]+$",
                "writeOnly": True,
            },
            "async_insert": {
                "description": "Whether ClickHouse gathers the rows of many requests, before it "
                "writes them and answers. Without it every request makes a part of the table.",
                "type": "boolean",
                "default": True,
            },
            "timeout_seconds": TIMEOUT,
        },
        "required": ["base_url"],
        "additionalProperties": False,
    }

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.url = f"{settings['base_url'].rstrip('/')}/"
        self._http = HttpSender(timeout_seconds=settings["timeout_seconds"])
        self._headers = {"X-ClickHouse-User": settings["user"]}
        if "password" in settings:
            self._headers["X-ClickHouse-Key"] = settings["password"]
        self._database = {"database": settings["database"]}
        self._params = {
            **self._database,
            "query": insert_statement(settings["table"]),
            "async_insert": str(int(settings["async_insert"])),
            "wait_for_async_insert": "1",  # without it, an acknowledged row may be lost
            "async_insert_deduplicate": "1",
            "date_time_input_format": "best_effort",  # the others do not read `T` and `Z`
            "wait_end_of_query": "1",  # so that the status is that of the end, not of the start
        }

    def check(self) -> list[str]:
        return base_url_problems(self.settings)

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        return in_one_request(deliveries, row, self._insert, most_bytes=MAX_REQUEST_BYTES)

    def setup(self) -> str:
        """Makes the table."""
        table = self.settings["table"]
        statement = create_statement(table).encode()
        answer = self._http.post(
            self.url, data=statement, headers=self._headers, params=self._database
        )
        outcome = _outcome(answer)
        if not isinstance(outcome, Delivered):
            raise DestinationUnusable(outcome.reason)
        return f"the table {self.settings['database']}.{table} is there"

    def close(self) -> None:
        self._http.close()

    def _insert(self, rows: Sequence[bytes]) -> list[Outcome]:
        data = b"\n".join(rows)
        answer = self._http.post(
            self.url,
            data=data,
            headers=self._headers,
            params={**self._params, "insert_deduplication_token": hashlib.sha256(data).hexdigest()},
        )
        return shared(_outcome(answer), len(rows))


def _outcome(answer: Answer | Retry) -> Outcome:
    if isinstance(answer, Retry):
        return answer
    code = exception_code(answer)
    if code is not None:
        return exception_outcome(code)
    outcome = outcome_of(answer)
    if isinstance(outcome, Delivered) and (answer.status != HTTPStatus.OK or answer.body):
        # An insert is answered with 200 and an empty body: https://clickhouse.com/docs/interfaces/http
        return Retry(f"HTTP {answer.status} that is not ClickHouse's", misconfigured=True)
    return outcome
