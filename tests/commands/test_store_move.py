from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from segmentstream_api.commands.store_move import move
from segmentstream_api.errors import StoreUnavailable
from segmentstream_api.store.sqlite.file import SqliteFile
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.commands.folder import start, until
from tests.postgresql_server import PASSWORD
from tests.system.service import Service

FROM = "sqlite:///segmentstream.db"
TO = "sqlite:///other.db"


@pytest.fixture
def full(folder):
    """Two wait and one is dead."""
    folder.wait("h-1", "h-2")
    folder.bury("h-3")
    return folder


def content(path):
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()
            for table, columns in {
                "event": "hit_id, project, name, received_ms, body",
                "outbox": "due_ms, destination, attempts, held, reason",
                "dead_letter": "died_ms, destination, attempts, reason",
                "seen": "key, fingerprint, expires_s",
            }.items()
        }


def test_moves_everything_and_leaves_the_source_as_it_was(full, run):
    before = content(full / "segmentstream.db")
    assert [len(rows) for rows in before.values()] == [3, 2, 1, 3]
    code, out, _ = run("store", "move", FROM, TO)
    assert (code, out) == (0, "3 records moved, 0 were known there already.\n")
    assert content(full / "other.db") == content(full / "segmentstream.db") == before


def test_may_be_given_again_and_tells_scripts_what_it_did(full, run):
    run("store", "move", FROM, TO)
    full.wait("h-4")
    code, out, _ = run("store", "move", FROM, TO, "--json")
    assert (code, json.loads(out)) == (0, {"found": 4, "moved": 1})


class Breaking(SqliteStore):
    """Takes two pages, and then its disk is full."""

    pages = 0

    def restore(self, records):
        if self.pages == 2:
            raise StoreUnavailable("the disk is full")
        self.pages += 1
        return super().restore(records)


def test_goes_on_where_it_was_interrupted(full, run, capsys):
    target = Breaking(
        SqliteFile(full / "other.db", floor_bytes=0),
        dedup_window_seconds=86400,
        retry_for_seconds=86400,
        dead_letters_for_seconds=86400,
    )
    with full.store() as source, closing(target), pytest.raises(StoreUnavailable):
        move(source, target, page_size=1)
    assert "2 records moved; the same command goes on with the rest." in capsys.readouterr().err
    code, out, _ = run("store", "move", FROM, TO)
    assert (code, out) == (0, "1 record moved, 2 were known there already.\n")
    assert content(full / "other.db") == content(full / "segmentstream.db")


def test_a_source_that_is_served_is_refused(full, run):
    service = Service(full.path, workers=1)
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    try:
        service.start()
        code, _, err = run("store", "move", FROM, TO)
    finally:
        service.stop()
    assert code == 1
    assert "segmentstream.db is in use by another process. Stop the service" in err
    assert not (full / "other.db").exists()
    assert run("store", "move", FROM, TO)[0] == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((FROM, FROM), "FROM and TO are one and the same"),
        (("sqlite:///none.db", TO), "there is no store at none.db"),
        ((FROM, "mysql://u:secret-word@host/"), "TO is not usable:\n  the URL: must match"),
        ((FROM, "postgresql://u:secret-word@[host/"), "TO is not usable:\n  the URL: is no conn"),
        ((FROM, "postgresql://u:${NO_SUCH_NAME}@h/d"), "${NO_SUCH_NAME} is not set"),
        ((FROM,), "the following arguments are required: TO"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(full, run, given, said):
    code, _, err = run("store", "move", *given)
    assert code == 2
    assert said in err
    assert "secret-word" not in err


def test_its_help_says_what_must_be_stopped(run):
    code, out, _ = run("store", "move", "--help")
    assert code == 0
    assert "must be stopped first" in " ".join(out.split())


class TestPostgresql:
    @pytest.fixture
    def url(self, empty_database, monkeypatch):
        monkeypatch.setenv("STORE_PASSWORD", PASSWORD)
        return empty_database.replace(PASSWORD, "${STORE_PASSWORD}")

    def test_a_sqlite_store_goes_over_and_comes_back(self, full, run, url):
        before = content(full / "segmentstream.db")
        for source, target in ((FROM, url), (url, TO)):
            code, out, err = run("store", "move", source, target)
            assert (code, out, err) == (0, "3 records moved, 0 were known there already.\n", "")
        assert content(full / "other.db") == before

    def test_the_other_commands_work_with_it(self, full, run, url):
        run("store", "move", FROM, url)
        text = (full / "segmentstream.toml").read_text("utf-8")
        full.configure(text.replace("[store]", f'[store]\nurl = "{url}"'))
        code, out, _ = run("status", "--json")
        states = {each["name"]: each for each in json.loads(out)["destinations"]}
        assert (code, states["archive"]["waiting"], states["crm"]["dead"]) == (0, 2, 1)
        code, out, _ = run("check")
        assert code == 0
        assert "postgresql://127.0.0.1" in out
        assert PASSWORD not in out
        code, out, _ = run("dead-letters", "list", "--json")
        assert [each["hit_id"] for each in json.loads(out)["dead_letters"]] == ["h-3"]
        assert run("dead-letters", "replay")[1] == "1 dead letter replayed.\n"
        process = start("deliver")
        try:
            until(lambda: (full / "crm.jsonl").exists() and (full / "events.jsonl").exists())
            until(lambda: len((full / "events.jsonl").read_text().splitlines()) == 2)
        finally:
            process.terminate()
            process.wait(30)
        assert json.loads(run("status", "--json")[1])["destinations"][1]["waiting"] == 0

    def test_before_the_first_start_there_is_nothing_and_it_says_whether_there_could_be(
        self, folder, run, url
    ):
        text = (folder / "segmentstream.toml").read_text("utf-8")
        folder.configure(text.replace("[store]", f'[store]\nurl = "{url}"'))
        assert run("status")[0] == 0
        assert run("check")[0] == 0
        assert run("store", "move", url, TO)[0] == 2  # none of them has made one

    def test_a_served_source_is_refused(self, full, run, url):
        run("store", "move", FROM, url)
        text = (full / "segmentstream.toml").read_text("utf-8")
        full.configure(text.replace("[store]", f'[store]\nurl = "{url}"'))
        process = start("deliver")
        try:
            until((full / "events.jsonl").exists)
            code, _, err = run("store", "move", url, TO)
        finally:
            process.terminate()
            process.wait(30)
        assert code == 1
        assert "is in use by connections from 127.0.0.1" in err
