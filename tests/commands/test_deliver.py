from __future__ import annotations

import signal
import socket
import subprocess
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.commands.folder import CONFIGURATION, start, until
from tests.system.service import free_port

ARCHIVE_ALONE = CONFIGURATION.partition("[destinations.crm]")[0].replace(', "crm"', "")


@pytest.fixture
def arguments():
    return []


@pytest.fixture
def deliver(folder, arguments):
    with (folder / "log").open("wb") as log:
        process = start("deliver", *arguments, stderr=log)
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


class TestMetrics:
    @pytest.fixture
    def port(self):
        return free_port()

    @pytest.fixture
    def arguments(self, port):
        return ["--metrics-port", str(port)]

    @pytest.fixture
    def value(self, port):
        def value(name, **labels):
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                families = list(text_string_to_metric_families(answer.read().decode()))
            return next(
                (
                    sample.value
                    for family in families
                    for sample in family.samples
                    if sample.name == name and labels.items() <= sample.labels.items()
                ),
                None,
            )

        return value

    def test_what_it_counts_is_told_at_its_own_port_also_after_a_reload(
        self, folder, backlog, deliver, value
    ):
        until(lambda: "delivering as" in said(folder))

        def delivered(destination):
            labels = {"destination": destination, "outcome": "delivered"}
            return value("segmentstream_deliveries_total", **labels)

        until(lambda: delivered("archive") == 20)
        assert value("segmentstream_outbox_waiting", destination="crm") == 1
        assert value("segmentstream_build_info", store="sqlite") == 1

        another = '[destinations.another]\ntype = "file"\npath = "another.jsonl"\n'
        folder.configure(CONFIGURATION + another)
        deliver.send_signal(signal.SIGHUP)
        until(lambda: delivered("crm") == 1)
        until(lambda: value("segmentstream_outbox_waiting", destination="another") == 0)
        assert delivered("archive") == 20
        deliver.send_signal(signal.SIGTERM)
        assert deliver.wait(30) == 0

    def test_a_port_that_does_not_exist_is_a_sentence_and_ends_with_2(self, folder):
        process = start("deliver", "--metrics-port", "70000", stderr=subprocess.PIPE)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 2
        assert b"--metrics-port 70000: ports go from 0 to 65535" in err
        assert b"Traceback" not in err

    def test_a_port_that_cannot_be_had_is_a_sentence_and_ends_with_2(self, folder, arguments, port):
        with socket.create_server(("127.0.0.1", port)):
            process = start("deliver", *arguments, stderr=subprocess.PIPE)
            _, err = process.communicate(timeout=30)
        assert process.returncode == 2
        assert f"--metrics-port {port} cannot be had: Address already in use" in err.decode()
        assert b"Traceback" not in err
