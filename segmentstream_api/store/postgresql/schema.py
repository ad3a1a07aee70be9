"""What is in a database of ours: its tables, how they are made, how they are known again."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg

from segmentstream_api.errors import StoreUnusable

SCHEMA = "segmentstream"
_VERSION = 1
_TURN = 0x53535452  # "SSTR": the advisory lock of those that make the tables at the same time

# Rows come and go all the time: vacuum by their number, not by a share of a table that was large.
_BUSY = "WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.2)"
_DEFINITION = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
SET LOCAL search_path = {SCHEMA};
CREATE TABLE store (
    identity text NOT NULL, version integer NOT NULL, mended_ms bigint NOT NULL DEFAULT 0
);
CREATE SEQUENCE event_id;
CREATE TABLE event (
    id bigint PRIMARY KEY,
    key bytea NOT NULL, project text NOT NULL, hit_id text NOT NULL, name text NOT NULL,
    received_ms bigint NOT NULL, body bytea NOT NULL
) {_BUSY};
CREATE TABLE seen (
    key bytea PRIMARY KEY, fingerprint bytea NOT NULL, event_id bigint, expires_s bigint NOT NULL
) {_BUSY};
CREATE INDEX seen_by_expiry ON seen (expires_s);
CREATE TABLE outbox (
    event_id bigint NOT NULL, destination text NOT NULL, attempts integer NOT NULL,
    due_ms bigint NOT NULL, held boolean NOT NULL, written_ms bigint NOT NULL, reason text,
    PRIMARY KEY (event_id, destination)
) {_BUSY};
CREATE INDEX outbox_by_due ON outbox (destination, due_ms, event_id);
CREATE TABLE dead_letter (
    event_id bigint NOT NULL, destination text NOT NULL, attempts integer NOT NULL,
    died_ms bigint NOT NULL, reason text NOT NULL,
    PRIMARY KEY (event_id, destination)
);
CREATE INDEX dead_letter_by_death ON dead_letter (died_ms);
CREATE TABLE destination_state (
    destination text PRIMARY KEY, breaker text NOT NULL, since_ms bigint,
    last_error text, last_error_ms bigint
);
"""
_NAMES = frozenset(
    {"store", "event_id", "event", "seen", "outbox", "dead_letter", "destination_state"}
)


def create_tables(connection: psycopg.Connection[Any], place: str) -> str:
    """The identity of the store, which is made unless it is there. Several may try at once.

    Raises StoreUnusable, as `identity_of`, and psycopg.Error.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_TURN,))
        identity = identity_of(connection, place)
        if identity is None:
            identity = uuid4().hex
            connection.execute(_DEFINITION.encode())
            connection.execute("INSERT INTO store VALUES (%s, %s)", (identity, _VERSION))
    return identity


def identity_of(connection: psycopg.Connection[Any], place: str) -> str | None:
    """None where there is no store. Raises StoreUnusable for one that is not, or no longer, ours.

    Changes nothing.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreUnusable(place, f"has the encoding {encoding}; the store needs UTF8")
    found = {
        name
        for (name,) in connection.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE nspname = %s AND relkind IN ('r', 'p', 'S')",
            (SCHEMA,),
        )
    }
    if not found:
        return None
    if "store" not in found:
        raise StoreUnusable(place, f"has a schema {SCHEMA} of another program")
    version_and_identity = connection.execute(
        f"SELECT version, identity FROM {SCHEMA}.store"
    ).fetchall()
    if len(version_and_identity) != 1:
        raise StoreUnusable(place, f"is damaged: {SCHEMA}.store has not one row")
    ((version, identity),) = version_and_identity
    if version != _VERSION:
        raise StoreUnusable(place, f"has schema version {version}; this program needs {_VERSION}")
    if lost := sorted(_NAMES - found):
        raise StoreUnusable(
            place,
            f"lacks {', '.join(f'{SCHEMA}.{name}' for name in lost)}; restore it from a backup",
        )
    return str(identity)


def require_right_to_create(connection: psycopg.Connection[Any], place: str) -> None:
    """Raises StoreUnusable unless this role may make the tables."""
    row = connection.execute(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = %(schema)s)"
        " THEN has_schema_privilege(%(schema)s, 'CREATE')"
        " ELSE has_database_privilege(current_database(), 'CREATE') END",
        {"schema": SCHEMA},
    ).fetchone()
    if row != (True,):
        raise StoreUnusable(place, f"does not let this role create the schema {SCHEMA}")


def others_connected(connection: psycopg.Connection[Any], application_name: str) -> list[str]:
    """Where the connections to this database come from that call themselves so."""
    rows = connection.execute(
        "SELECT DISTINCT coalesce(host(client_addr), 'a local socket') FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND application_name = %s ORDER BY 1",
        (application_name,),
    )
    return [address for (address,) in rows]
