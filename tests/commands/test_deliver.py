from __future__ import annotations

import signal
import subprocess

import pytest

from tests.commands.folder import CONFIGURATION, start, until

ARCHIVE_ALONE = CONFIGURATION.partition("[destinations.crm]")[0].replace(', "crm"', "")


@pytest.fixture
def deliver(folder):
    with (folder / "log").open("wb") as log:
        process = start("deliver", stderr=log)
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def said(folder):
    return (folder / "log").read_text()


def lines(folder, name):
    path = folder / name
    return path.read_text().count("\n") if path.exists() else 0


@pytest.fixture
def backlog(folder):
    folder.configure(ARCHIVE_ALONE)
    folder.wait(*(f"a{number}" for number in range(20)), destination="archive")
    folder.wait("c", destination="crm")


def test_it_delivers_what_waits_and_follows_its_configuration(folder, backlog, deliver):
    until(lambda: lines(folder, "events.jsonl") == 20)

    folder.configure("[projects]\n")
    deliver.send_signal(signal.SIGHUP)
    until(lambda: "the one before stays" in said(folder))
    folder.wait("b", destination="archive")
    until(lambda: lines(folder, "events.jsonl") == 21)

    folder.configure(CONFIGURATION)
    deliver.send_signal(signal.SIGHUP)
    until(lambda: lines(folder, "crm.jsonl") == 1)

    deliver.send_signal(signal.SIGTERM)
    assert deliver.wait(30) == 0
    assert folder.waiting() == {}
    assert "Traceback" not in said(folder)


def test_ctrl_c_is_a_good_end(folder, deliver):
    until(lambda: "delivering as" in said(folder))
    deliver.send_signal(signal.SIGINT)
    assert deliver.wait(30) == 0
    assert "Traceback" not in said(folder)


def test_a_store_that_cannot_be_used_is_a_sentence_and_ends_with_2(folder):
    folder.wait("a")
    (folder / "segmentstream.db").unlink()
    process = start("deliver", stderr=subprocess.PIPE)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert b"is gone, though it was here before" in err
    assert b"Traceback" not in err
