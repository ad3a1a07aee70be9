from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import resource
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.destinations.base import Delivered, Retry
from segmentstream_api.destinations.file.append_file import AppendFile, fdatasync
from segmentstream_api.destinations.file.destination import File
from segmentstream_api.testing import complete, delivery

SPAWN = multiprocessing.get_context("spawn")


def make(path, sync=fdatasync, **settings):
    settings = complete(File.settings_schema, {"path": str(path), **settings})
    return File("archive", settings, sync=sync)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


@pytest.fixture
def archive(path):
    archive = make(path)
    yield archive
    archive.close()


def events(*numbers):
    return [delivery(number) for number in numbers]


def lines(*numbers):
    return b"".join(delivery(number).body + b"\n" for number in numbers)


def hit_ids(content):
    return [json.loads(line)["hitId"] for line in content.splitlines()]


# Appending


def test_each_event_is_one_line_exactly_as_it_was_accepted(archive, path):
    assert archive.send(events(1, 2)) == [Delivered(), Delivered()]
    assert archive.send(events(3)) == [Delivered()]
    assert path.read_bytes() == lines(1, 2, 3)


def test_what_is_in_the_file_stays(archive, path):
    path.write_bytes(lines(1))
    archive.send(events(2))
    assert path.read_bytes() == lines(1, 2)


def test_nothing_is_opened_before_the_first_event(archive, path):
    assert archive.check() == []
    assert not path.exists()


def test_a_new_file_gets_the_permissions_that_were_set(tmp_path):
    usual = os.umask(0o022)
    try:
        for mode, expected in [("0640", 0o640), ("600", 0o600), ("666", 0o644)]:
            archive = make(tmp_path / mode, mode=mode)
            archive.send(events(1))
            archive.close()
            assert stat.S_IMODE((tmp_path / mode).stat().st_mode) == expected
    finally:
        os.umask(usual)


def test_an_event_is_delivered_only_when_it_is_on_the_disk(path):
    seen_by_sync = []
    archive = make(path, sync=lambda _: seen_by_sync.append(path.read_bytes()))
    archive.send(events(1))
    archive.close()
    assert seen_by_sync == [lines(1)]


def test_the_file_can_be_used_again_after_closing(archive, path):
    archive.send(events(1))
    archive.close()
    assert archive.send(events(2)) == [Delivered()]
    assert path.read_bytes() == lines(1, 2)


# Several writers


def append_batches(path, first):
    archive = make(path)
    for number in range(first, first + 500, 5):
        assert archive.send(events(*range(number, number + 5))) == [Delivered()] * 5
    archive.close()


def run(*processes):
    for process in processes:
        process.start()
    return processes


def finish(*processes):
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


def test_two_processes_append_whole_lines_to_the_same_file(path):
    finish(*run(*(SPAWN.Process(target=append_batches, args=(path, n)) for n in (0, 500))))
    found = hit_ids(path.read_bytes())
    assert sorted(found) == sorted(f"hit-{n}" for n in range(1000))


def test_rotation_under_two_writing_processes_loses_and_repeats_nothing(path):
    writers = run(*(SPAWN.Process(target=append_batches, args=(path, n)) for n in (0, 500)))
    rotated = 0
    while any(writer.is_alive() for writer in writers):
        writers[0].join(0.002)
        if path.exists():
            rotated += 1
            path.rename(path.with_suffix(f".{rotated}"))
    finish(*writers)
    found = [hit for file in path.parent.iterdir() for hit in hit_ids(file.read_bytes())]
    assert sorted(found) == sorted(f"hit-{n}" for n in range(1000))
    assert rotated > 3


def test_a_writer_waits_for_another_that_holds_the_lock(archive, path):
    path.touch()
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        sending = threading.Thread(target=archive.send, args=(events(1),))
        sending.start()
        sending.join(0.1)
        assert path.read_bytes() == b""
        fcntl.flock(other, fcntl.LOCK_UN)
        sending.join(10)
    assert path.read_bytes() == lines(1)


def test_the_lock_is_not_kept(archive, path):
    archive.send(events(1))
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


# Rotation


def test_after_a_rename_the_next_event_is_in_a_new_file(archive, path):
    archive.send(events(1))
    path.rename(path.with_suffix(".1"))
    archive.send(events(2))
    assert path.with_suffix(".1").read_bytes() == lines(1)
    assert path.read_bytes() == lines(2)


def test_after_a_removal_the_next_event_is_in_a_new_file(archive, path):
    archive.send(events(1))
    path.unlink()
    assert archive.send(events(2)) == [Delivered()]
    assert path.read_bytes() == lines(2)


def test_a_file_that_was_put_in_its_place_is_appended_to(archive, path):
    archive.send(events(1))
    path.rename(path.with_suffix(".1"))
    path.write_bytes(lines(7))
    archive.send(events(2))
    assert path.read_bytes() == lines(7, 2)


def test_the_name_of_a_new_file_is_on_the_disk_before_its_first_event_is_delivered(path):
    synced: list[object] = []
    file = AppendFile(path, mode=0o600, sync=synced.append, sync_folder=synced.append)
    file.append(b"one\n")
    assert synced[0] == path.parent
    file.append(b"two\n")
    assert synced.count(path.parent) == 1
    path.unlink()
    file.append(b"three\n")
    assert synced.count(path.parent) == 2
    file.close()


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_rotation_leaves_no_descriptor_behind(archive, path):
    archive.send(events(1))
    before = open_descriptors()
    for number in range(20):
        path.unlink()
        archive.send(events(number))
    assert open_descriptors() == before


# Crashes and full disks


def test_a_line_cut_short_by_a_loss_of_power_is_ended_first(archive, path):
    path.write_bytes(lines(1) + b'{"hitId": "hi')
    archive.send(events(2))
    assert path.read_bytes() == lines(1) + b'{"hitId": "hi\n' + lines(2)


def test_a_line_cut_short_by_another_process_that_died_is_ended_first(archive, path):
    archive.send(events(1))
    with path.open("ab") as other:
        other.write(b'{"hitId": "hi')
    archive.send(events(2))
    assert path.read_bytes() == lines(1) + b'{"hitId": "hi\n' + lines(2)


def write_past_the_limit(path, report):
    limit = len(lines(1, 2)) + 10
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    archive = make(path)
    archive.send(events(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    cut_short = archive.send(events(2, 3))
    one_fits = archive.send(events(2))
    report.send((cut_short, one_fits, path.read_bytes()))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    report.send(archive.send(events(3)))


def test_a_write_that_is_cut_short_is_taken_back_and_retried(path):
    reports, report = SPAWN.Pipe(duplex=False)
    with reports, report:
        finish(*run(SPAWN.Process(target=write_past_the_limit, args=(path, report))))
        cut_short, one_fits, content = reports.recv()
        afterwards = reports.recv()
    size = len(lines(2, 3))
    fitted = len(lines(2)) + 10
    assert (
        cut_short
        == [Retry(f"cannot write {path}: only {fitted} of {size} bytes could be written")] * 2
    )
    assert one_fits == [Delivered()]
    assert content == lines(1, 2)
    assert afterwards == [Delivered()]
    assert path.read_bytes() == lines(1, 2, 3)


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_retried_and_the_file_holds_whole_lines(small_disk):
    path = small_disk / "events.jsonl"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(40_000))
    archive = make(path)
    delivered = 0
    while (outcomes := archive.send(events(*range(7)))) == [Delivered()] * 7:
        delivered += 7
    assert outcomes[0].reason.startswith(f"cannot write {path}: ")
    assert not outcomes[0].misconfigured
    assert len(hit_ids(path.read_bytes())) == delivered > 0
    ballast.unlink()
    assert archive.send(events(1)) == [Delivered()]
    assert len(hit_ids(path.read_bytes())) == delivered + 1
    archive.close()


def test_after_a_failed_fdatasync_nothing_is_delivered_and_the_file_is_opened_anew(path):
    was_seen_before = []

    def fail_once(descriptor):
        was_seen_before.append(os.get_inheritable(descriptor))
        os.set_inheritable(descriptor, True)
        if len(was_seen_before) == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    archive = make(path, sync=fail_once)
    assert archive.send(events(1, 2)) == [Retry(f"cannot write {path}: Input/output error")] * 2
    assert archive.send(events(1, 2)) == [Delivered()] * 2
    archive.send(events(3))
    archive.close()
    assert was_seen_before == [False, False, True]


# What the operator has to mend


def test_a_missing_folder_is_a_configuration_fault(tmp_path):
    archive = make(tmp_path / "missing" / "events.jsonl")
    expected = f"cannot write {tmp_path}/missing/events.jsonl: No such file or directory"
    assert archive.send(events(1)) == [Retry(expected, misconfigured=True)]
    assert archive.check() == [f"path: the folder {tmp_path}/missing does not exist"]


def test_it_goes_on_as_soon_as_the_folder_is_there(tmp_path):
    archive = make(tmp_path / "missing" / "events.jsonl")
    archive.send(events(1))
    (tmp_path / "missing").mkdir()
    assert archive.send(events(1)) == [Delivered()]
    archive.close()


def test_a_folder_in_the_place_of_the_file_is_a_configuration_fault(tmp_path):
    archive = make(tmp_path)
    expected = f"cannot write {tmp_path}: Is a directory"
    assert archive.send(events(1)) == [Retry(expected, misconfigured=True)]
    assert archive.check() == [f"path: {tmp_path} is a folder, not a file"]


def test_a_pipe_in_the_place_of_the_file_is_a_configuration_fault(path):
    os.mkfifo(path)
    archive = make(path)
    expected = f"cannot write {path}: not a regular file"
    assert archive.send(events(1)) == [Retry(expected, misconfigured=True)]
    assert archive.check() == [f"path: {path} is not a regular file"]


def try_as_nobody(path, report):
    if os.geteuid() == 0:
        os.setuid(65534)
    archive = make(path)
    report.send((archive.check(), archive.send(events(1))))


@pytest.fixture
def open_folder():
    """A folder that other users reach too."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_missing_permissions_are_a_configuration_fault(open_folder, what):
    path = open_folder / "events.jsonl"
    if what == "file":
        path.touch(0o444)
    open_folder.chmod(0o555)
    reports, report = SPAWN.Pipe(duplex=False)
    with reports, report:
        finish(*run(SPAWN.Process(target=try_as_nobody, args=(path, report))))
        problems, outcomes = reports.recv()
    assert problems == [f"path: this user may not read and write {path}"]
    assert outcomes == [Retry(f"cannot write {path}: Permission denied", misconfigured=True)]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"path": ""},
        {"path": "a", "mode": "rw"},
        {"path": "a", "mode": "9"},
        {"path": "a", "b": 1},
    ],
)
def test_the_schema_refuses(settings):
    assert not Draft202012Validator(File.settings_schema).is_valid(settings)
