"""What happens to the file: locked, full, damaged, replaced, gone, forked, killed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from segmentstream_api.errors import StoreUnavailable, StoreUnusable
from segmentstream_api.store.records import Acceptance, Settled
from segmentstream_api.store.sqlite.file import WAIT_FOR_LOCK_SECONDS, SqliteFile
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.fakes import A_DAY, PATIENCE_SECONDS, Clock, Task, an_event

PATIENCE = 0.2  # seconds that the stores here wait for a lock
ROOT = Path(__file__).parents[3]


def a_store(path, *, floor_bytes=0, wait_for_lock_seconds=PATIENCE, clock=None):
    return SqliteStore(
        SqliteFile(path, floor_bytes=floor_bytes, wait_for_lock_seconds=wait_for_lock_seconds),
        dedup_window_seconds=A_DAY,
        retry_for_seconds=3 * A_DAY,
        dead_letters_for_seconds=30 * A_DAY,
        clock=clock or Clock(),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def store(path):
    store = a_store(path)
    store.open()
    yield store
    store.close()


def fill(store, count=100):
    """Events of 2 KB each, so that they take many pages."""
    for _ in range(count):
        store.accept(an_event(context={"padding": "x" * 2000}), {"crm": 0})


def claim(store, limit=1000):
    return store.claim("crm", limit=limit, lease_seconds=25)


def settled(rows):
    return [Settled(row.event_id, row.destination) for row in rows]


def open_files():
    return list(Path("/proc/self/fd").iterdir())


def beside(path, suffix):
    return path.with_name(path.name + suffix)


class TestANewFile:
    def test_is_for_this_user_alone(self, store, path):
        assert path.stat().st_mode & 0o777 == 0o600
        assert beside(path, ".lock").stat().st_mode & 0o777 == 0o600

    def test_loses_no_commit_when_the_power_fails(self, store, path):
        with SqliteFile(path).writing() as writer:
            assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert writer.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL

    def test_is_made_once_however_many_come_at_the_same_time(self, path):
        stores = [a_store(path) for _ in range(8)]
        tasks = [Task(store.accept, an_event(), {"crm": 0}) for store in stores]
        assert all(task.result().acceptance is Acceptance.NEW for task in tasks)
        assert stores[0].stats()["crm"].waiting == 8
        for store in stores:
            store.close()

    def test_takes_the_place_of_one_that_was_only_half_made(self, path):
        beside(path, ".new").write_bytes(b"SQLite format 3\0 and no more")
        a_store(path).check()

    def test_exists_from_then_on(self, path):
        store = a_store(path)
        assert not store.exists()
        store.open()
        assert store.exists()
        store.close()
        assert store.exists()

    def test_needs_a_folder(self, tmp_path):
        with pytest.raises(StoreUnusable, match=r"No such file or directory \(store.db.lock\)"):
            a_store(tmp_path / "nowhere" / "store.db").open()


class TestWritable:
    def test_it_is_found_out_by_writing(self, store, path):
        store.writable()
        before = beside(path, "-wal").stat().st_size
        store.writable()
        assert beside(path, "-wal").stat().st_size > before

    def test_a_disk_below_its_floor_is_not(self, path):
        store = a_store(path, floor_bytes=1 << 60)
        with pytest.raises(StoreUnavailable, match="under its floor") as caught:
            store.writable()
        assert caught.value.finding == "disk_floor"
        store.close()

    @pytest.mark.parametrize("replaced", [False, True])
    def test_a_file_that_is_not_the_one_it_was_is_not(self, store, path, replaced):
        path.rename(path.with_name("aside"))
        if replaced:
            path.touch()
        with pytest.raises(StoreUnavailable) as caught:
            store.writable()
        assert caught.value.finding == "store_unusable"

    def test_one_that_must_not_be_opened_is_not(self, path):
        path.write_bytes(b"no database")
        with pytest.raises(StoreUnusable) as caught:
            a_store(path).writable()
        assert caught.value.finding == "store_unusable"


class TestLockedByAnotherProgram:
    @pytest.fixture
    def lock(self, store, path):
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.close()

    def test_it_waits_until_the_lock_is_free(self, path, store, lock):
        patient = a_store(path, wait_for_lock_seconds=PATIENCE_SECONDS)
        patient.open()
        accepting = Task(patient.accept, an_event(), {"crm": 0})
        accepting.join(PATIENCE)
        assert accepting.is_alive()
        lock.execute("COMMIT")
        assert accepting.result().acceptance is Acceptance.NEW
        patient.close()

    def test_it_waits_no_longer_than_its_patience_and_then_is_unavailable(self, store, lock):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="locked"):
            store.accept(an_event(), {"crm": 0})
        assert time.monotonic() - started >= PATIENCE

    def test_whether_it_is_writable_is_found_out_sooner(self, path, store, lock):
        patient = a_store(path, wait_for_lock_seconds=WAIT_FOR_LOCK_SECONDS)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="locked") as caught:
            patient.writable()
        assert time.monotonic() - started < WAIT_FOR_LOCK_SECONDS - 1
        assert caught.value.finding == "store_unavailable"
        patient.close()

    def test_who_waits_for_anothers_commit_does_not_wait_twice(self, path, store, lock):
        hasty = a_store(path, wait_for_lock_seconds=1.0)
        hasty.open()

        def waited(number):
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                hasty.accept(an_event(), {"crm": 0})
            return time.monotonic() - started

        tasks = [Task(waited, number) for number in range(8)]
        assert max(task.result() for task in tasks) < 1.8  # not 1 + 1
        hasty.close()

    def test_what_was_waited_already_counts(self, path, store, lock):
        patient = a_store(path, wait_for_lock_seconds=PATIENCE_SECONDS)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="locked"):
            patient.accept_all([(an_event(), {"crm": 0})], waited_seconds=PATIENCE_SECONDS - 0.1)
        assert 0.1 <= time.monotonic() - started < PATIENCE_SECONDS / 2
        patient.close()

    def test_the_event_was_not_kept_and_its_retry_is_new(self, store, lock):
        with pytest.raises(StoreUnavailable):
            store.accept(an_event("h-1"), {"crm": 0})
        lock.execute("COMMIT")
        assert store.recall(an_event("h-1")) is None
        assert store.accept(an_event("h-1"), {"crm": 0}).acceptance is Acceptance.NEW

    def test_reading_goes_on(self, store, lock):
        assert store.recall(an_event()) is None
        assert store.stats() == {}

    def test_what_was_settled_meanwhile_is_written_afterwards(self, store, lock):
        lock.execute("COMMIT")
        fill(store, 3)
        rows = claim(store)
        lock.execute("BEGIN IMMEDIATE")
        for row in rows:
            store.settle(settled([row]))
            with pytest.raises(StoreUnavailable):
                store.flush()
        lock.execute("COMMIT")
        assert store.stats()["crm"].waiting == 3
        store.flush()
        assert store.stats() == {}

    def test_closing_gives_up_on_what_cannot_be_written(self, store, lock, caplog):
        store.settle([Settled(1, "crm")])
        store.close()
        assert "the last settlements were not written" in caplog.text

    def test_opening_is_unavailable_and_works_later(self, path, store):
        store.close()
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="locked"):
            store.open()
        connection.close()
        store.open()


class TestDamaged:
    def refused(self, path, reason, start=SqliteStore.open):
        store = a_store(path)
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(StoreUnusable, match=reason) as refused:
            start(store)
        store.close()
        assert str(path) in str(refused.value)
        after = path.read_bytes() if path.exists() else None
        assert after == before, "what cannot be used must be left as it is"

    def test_a_file_that_was_emptied_is_not_opened(self, store, path):
        store.close()
        path.write_bytes(b"")
        self.refused(path, "is empty")

    @pytest.mark.parametrize("size", [0.5, 0.3, 0.9])
    def test_a_file_that_was_cut_short_does_not_pass_the_check(self, store, path, size):
        fill(store)
        store.close()
        os.truncate(path, int(path.stat().st_size * size))
        self.refused(path, "malformed|is damaged|disk I/O error", SqliteStore.check)

    def test_a_file_with_a_page_of_garbage_does_not_pass_the_check(self, store, path):
        fill(store)
        store.close()
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 8192 * 4096)
            file.write(os.urandom(4096))
        self.refused(path, "malformed|is damaged", SqliteStore.check)

    def test_a_file_that_is_no_database_is_not_opened(self, path):
        path.write_text("Dear diary, " * 1000)
        self.refused(path, r"not a database \(12000 bytes\)")

    @pytest.mark.parametrize("journal", ["delete", "wal"])
    def test_another_programs_database_is_not_opened_and_not_changed(self, path, journal):
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE store (identity TEXT)")
        connection.commit()
        connection.close()
        self.refused(path, "is a database of another program")

    def test_a_store_of_a_later_version_is_not_opened(self, store, path):
        store.close()
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        self.refused(path, "has schema version 99; this program needs 1")

    def test_a_folder_is_not_opened(self, path):
        path.mkdir()
        with pytest.raises(StoreUnusable, match="unable to open"):
            a_store(path).open()

    def test_a_refusal_leaves_nothing_open(self, path):
        path.write_text("Dear diary, " * 1000)
        store = a_store(path)
        before = len(open_files())
        for _ in range(10):
            with pytest.raises(StoreUnusable):
                store.open()
        assert len(open_files()) == before


class TestGoneOrReplaced:
    def test_a_file_that_is_gone_is_not_made_anew_over_what_was_acknowledged(self, store, path):
        store.close()
        path.unlink()
        with pytest.raises(StoreUnusable, match="is gone, though it was here before"):
            store.open()
        assert not path.exists()
        assert store.exists()

    def test_nor_is_one_whose_wal_was_left_behind(self, path, tmp_path):
        elsewhere = tmp_path / "elsewhere.db"
        other = a_store(elsewhere)
        other.accept(an_event(), {"crm": 0})
        shutil.copy(beside(elsewhere, "-wal"), beside(path, "-wal"))
        other.close()
        with pytest.raises(StoreUnusable, match=r"remove store.db.lock and store.db-wal"):
            a_store(path).open()
        assert not path.exists()

    def test_as_the_message_says_an_empty_store_can_be_had_all_the_same(self, store, path):
        store.close()
        path.unlink()
        beside(path, ".lock").unlink()
        store.open()
        assert store.stats() == {}

    def test_another_store_in_its_place_is_not_opened(self, store, path, tmp_path):
        store.close()
        other = a_store(tmp_path / "other.db")
        other.open()
        other.close()
        (tmp_path / "other.db").replace(path)
        with pytest.raises(StoreUnusable, match="was replaced by another store"):
            store.open()
        beside(path, ".lock").unlink()
        store.open()

    def test_a_restored_backup_of_its_own_is_opened(self, store, path, tmp_path):
        fill(store, 1)
        store.close()
        backup = shutil.copy(path, tmp_path / "backup")
        path.unlink()
        shutil.copy(backup, path)
        store.open()
        assert store.stats()["crm"].waiting == 1

    def test_a_lock_file_of_garbage_is_no_lock_file_of_ours(self, store, path):
        store.close()
        beside(path, ".lock").write_bytes(b"\xff" * 40)
        with pytest.raises(StoreUnusable, match="was replaced"):
            store.open()

    @pytest.mark.parametrize("what", ["gone", "replaced", "truncated", "whole folder gone"])
    def test_what_happens_to_it_at_work_makes_it_unavailable(self, store, path, tmp_path, what):
        fill(store, 1)
        if what == "gone":
            path.unlink()
        elif what == "replaced":
            shutil.copy(path, tmp_path / "copy")
            (tmp_path / "copy").replace(path)
        elif what == "truncated":
            os.truncate(path, 0)
        else:
            tmp_path.rename(tmp_path.with_name("moved"))
        try:
            with pytest.raises(StoreUnavailable, match=r"gone|replaced|truncated"):
                store.accept(an_event(), {"crm": 0})
        finally:
            if what == "whole folder gone":
                tmp_path.with_name("moved").rename(tmp_path)

    def test_once_it_is_back_at_its_place_all_is_well(self, store, path, tmp_path):
        path.rename(tmp_path / "away")
        with pytest.raises(StoreUnavailable):
            store.accept(an_event(), {"crm": 0})
        (tmp_path / "away").rename(path)
        assert store.accept(an_event(), {"crm": 0}).acceptance is Acceptance.NEW


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", folder)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def _mount(*arguments):
    if os.geteuid():
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"this system lets nobody mount: {mounted.stderr.strip()}")


class Ballast:
    """Fills a disk to the last byte, and frees it again."""

    def __init__(self, folder):
        self._path = folder / "ballast"
        with self._path.open("wb", buffering=0) as file:
            for size in (65536, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def throw_off(self):
        self._path.unlink()


class TestDiskSpace:
    def test_below_the_floor_events_are_refused_and_nothing_of_them_is_kept(self, path):
        store = a_store(path, floor_bytes=2**60)
        with pytest.raises(StoreUnavailable, match=r"MB free, under its floor") as refused:
            store.accept(an_event("h-1"), {"crm": 0})
        assert refused.value.retry_after_seconds == 10
        assert store.recall(an_event("h-1")) is None
        store.close()

    def test_below_the_floor_everything_else_goes_on(self, store, path):
        fill(store, 3)
        full = a_store(path, floor_bytes=2**60)
        full.settle(settled(claim(full)))
        full.flush()
        assert full.stats() == {}
        full.close()

    def test_without_a_configured_floor_there_is_one_that_a_small_disk_does_not_reach(
        self, small_disk
    ):
        store = a_store(small_disk / "store.db", floor_bytes=None)
        with pytest.raises(StoreUnavailable, match="under its floor of 512 MB"):
            store.accept(an_event(), {"crm": 0})
        store.close()

    def test_the_check_says_that_there_is_too_little(self, path):
        store = a_store(path, floor_bytes=2**60)
        with pytest.raises(StoreUnavailable, match="under its floor"):
            store.check()
        store.close()

    def test_the_floor_leaves_enough_to_settle_everything_that_was_accepted(self, small_disk):
        store = a_store(small_disk / "store.db", floor_bytes=1 << 20)
        with pytest.raises(StoreUnavailable, match="under its floor"):
            fill(store, 5000)
        assert store.stats()["crm"].waiting > 500
        while rows := claim(store, limit=100):
            store.settle(settled(rows))
            store.flush()
        assert store.stats() == {}
        store.close()

    def test_a_full_disk_keeps_nothing_of_what_it_refused(self, small_disk):
        store = a_store(small_disk / "store.db")
        fill(store, 20)
        ballast = Ballast(small_disk)
        refused = an_event("h-1", context={"padding": "x" * 60_000})
        with pytest.raises(StoreUnavailable, match="full"):
            fill(store)
        with pytest.raises(StoreUnavailable, match="full"):
            store.accept(refused, {"crm": 0})
        assert store.recall(refused) is None
        ballast.throw_off()
        assert store.accept(refused, {"crm": 0}).acceptance is Acceptance.NEW
        store.check()
        store.close()

    def test_what_was_settled_on_a_full_disk_is_written_when_there_is_space(self, small_disk):
        clock = Clock()
        store = a_store(small_disk / "store.db", clock=clock)
        fill(store, 300)
        rows = claim(store)
        ballast = Ballast(small_disk)
        with pytest.raises(StoreUnavailable, match="full"):
            fill(store)
        store.settle(settled(rows))
        with pytest.raises(StoreUnavailable, match="full"):
            store.flush()
        assert store.stats()["crm"].waiting >= 300
        ballast.throw_off()
        store.flush()
        clock.advance(A_DAY)  # whatever was leased is due again
        left = {row.event_id for row in claim(store)}
        assert not left & {row.event_id for row in rows}
        store.close()

    @pytest.mark.parametrize("new", [True, False])
    def test_opening_on_a_full_disk_is_unavailable_and_works_when_there_is_space(
        self, small_disk, new
    ):
        store = a_store(small_disk / "store.db")
        if not new:
            store.open()
            store.close()
        ballast = Ballast(small_disk)
        with pytest.raises(StoreUnavailable):
            store.open()
        ballast.throw_off()
        assert store.accept(an_event(), {"crm": 0}).acceptance is Acceptance.NEW
        store.close()

    def test_a_read_only_disk_is_not_opened(self, small_disk):
        store = a_store(small_disk / "store.db")
        store.open()
        store.close()
        _mount("-o", "remount,ro", small_disk)
        with pytest.raises(StoreUnusable, match="Read-only"):
            store.open()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_that_this_user_may_not_write_is_not_used(self, path, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(StoreUnusable, match="Permission denied"):
            a_store(path).open()
        tmp_path.chmod(0o700)


class TestThreads:
    def test_closing_it_under_them_surprises_nobody(self, store):
        stop = threading.Event()

        def work():
            while not stop.is_set():
                event = an_event()
                assert store.accept(event, {"crm": 0}).acceptance is Acceptance.NEW
                assert store.recall(event).acceptance is Acceptance.DUPLICATE
            return True

        tasks = [Task(work) for _ in range(4)]
        for _ in range(30):
            threading.Event().wait(0.005)
            store.close()  # whoever comes next opens it again
        stop.set()
        assert all(task.result() for task in tasks)

    def test_an_error_in_a_transaction_rolls_it_back(self, path):
        file = SqliteFile(path)

        def fail():
            with file.writing() as writer:
                writer.execute("INSERT INTO destination_state VALUES ('crm', 'open', 1, '', 1)")
                raise LookupError

        with pytest.raises(LookupError):
            fail()
        with file.reading() as reader:
            assert reader.execute("SELECT * FROM destination_state").fetchall() == []
        with file.writing() as writer:
            assert writer.in_transaction
        file.close()


def python(script, *arguments):
    """Runs a script in an interpreter of its own: a fork must not copy this one's threads."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


class TestAFork:
    def test_a_child_opens_it_for_itself(self, path):
        done = python(
            """
            import os, sys
            from pathlib import Path
            from tests.fakes import an_event
            from tests.store.sqlite.test_file import a_store

            store = a_store(Path(sys.argv[1]))
            if os.fork() == 0:
                store.accept(an_event("child's"), {"crm": 0})
                os._exit(0)
            assert os.wait()[1] == 0
            assert store.recall(an_event("child's"))
            store.close()
            """,
            path,
        )
        assert done.returncode == 0, done.stderr

    def test_a_child_refuses_one_that_was_open_for_it_would_lose_what_it_acknowledges(self, path):
        done = python(
            """
            import os, sys
            from pathlib import Path
            from segmentstream_api.errors import StoreUnusable
            from tests.fakes import an_event
            from tests.store.sqlite.test_file import a_store

            store = a_store(Path(sys.argv[1]))
            store.accept(an_event("first"), {"crm": 0})
            if os.fork() == 0:
                try:
                    store.accept(an_event("child's"), {"crm": 0})
                except StoreUnusable as error:
                    os._exit(7 if "was open when this process was forked" in str(error) else 1)
                finally:
                    store.close()
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
            store.accept(an_event("second"), {"crm": 0})
            assert store.recall(an_event("first")) and store.recall(an_event("second"))
            store.check()
            store.close()
            """,
            path,
        )
        assert done.returncode == 0, done.stderr


def write_many(path, worker):
    store = a_store(path, wait_for_lock_seconds=PATIENCE_SECONDS)
    tasks = [Task(_write, store, f"{worker}-{thread}", 50) for thread in range(4)]
    for task in tasks:
        task.result()
    store.close()


def _write(store, name, count):
    for number in range(count):
        store.accept(an_event(f"{name}-{number}"), {"crm": 0})


def write_and_tell(path, run, acknowledged):
    """Accepts until it is killed; says each hit id as soon as it was acknowledged."""
    store = a_store(path, wait_for_lock_seconds=PATIENCE_SECONDS)

    def write(thread):
        for number in range(100_000):
            hit_id = f"{run}-{thread}-{number}"
            store.accept(an_event(hit_id), {"crm": 0})
            os.write(acknowledged, f"{hit_id}\n".encode())  # whole, since shorter than PIPE_BUF

    for task in [Task(write, thread) for thread in range(4)]:
        task.result()


class TestProcesses:
    def test_four_that_write_at_once_lose_nothing_and_damage_nothing(self, path):
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=write_many, args=(path, name)) for name in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(PATIENCE_SECONDS)
        assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
        store = a_store(path)
        assert len(claim(store)) == 4 * 4 * 50
        with SqliteFile(path).reading() as reader:
            assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert reader.execute("SELECT COUNT(*) FROM seen").fetchone() == (800,)
        store.close()

    def test_what_was_acknowledged_survives_kill_9(self, path):
        store = a_store(path, wait_for_lock_seconds=PATIENCE_SECONDS)
        store.open()
        acknowledged = []
        for run in range(5):
            acknowledged += self.acknowledged_until_killed(path, run, 60)
        store.check()
        assert len(acknowledged) >= 300
        lost = [hit_id for hit_id in acknowledged if not store.recall(an_event(hit_id))]
        assert lost == []
        assert store.stats()["crm"].waiting >= len(acknowledged)
        store.close()

    def acknowledged_until_killed(self, path, run, least):
        reading, writing = os.pipe()
        script = f"""
            import sys
            from pathlib import Path
            from tests.store.sqlite.test_file import write_and_tell
            write_and_tell(Path(sys.argv[1]), sys.argv[2], {writing})
            """
        with (
            os.fdopen(reading, "rb") as pipe,
            subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(script), str(path), str(run)],
                cwd=ROOT,
                pass_fds=[writing],
            ) as writer,
        ):
            os.close(writing)
            lines = [pipe.readline() for _ in range(least)]
            writer.send_signal(signal.SIGKILL)
            lines += pipe.readlines()
        return [line.decode().strip() for line in lines if line.endswith(b"\n")]


class TestASymbolicLink:
    @pytest.fixture
    def link(self, tmp_path):
        (tmp_path / "here").mkdir()
        (tmp_path / "disk").mkdir()
        link = tmp_path / "here" / "store.db"
        link.symlink_to(tmp_path / "disk" / "real.db")
        return link

    def test_that_dangles_is_followed_and_not_replaced(self, link, tmp_path):
        store = a_store(link)
        store.open()
        store.close()
        assert link.is_symlink()
        assert [path.name for path in link.parent.iterdir()] == ["store.db"]
        assert (tmp_path / "disk" / "real.db").is_file()

    def test_has_one_lock_with_its_target(self, link, tmp_path):
        through_link, itself = a_store(link), a_store(tmp_path / "disk" / "real.db")
        through_link.open()
        itself.open()
        try:
            assert locks(tmp_path) == [tmp_path / "disk" / "real.db.lock"]
        finally:
            through_link.close()
            itself.close()

    def test_that_leads_in_a_circle_is_refused(self, tmp_path):
        loop = tmp_path / "store.db"
        loop.symlink_to(loop)
        with pytest.raises(StoreUnusable, match="leads to no place"):
            a_store(loop).open()
        assert loop.is_symlink()


def locks(folder):
    return sorted(folder.rglob("*.lock"))
