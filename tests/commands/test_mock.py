from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys

import pytest

from segmentstream_api.http.auth import token_digest
from segmentstream_api.mock.client import TrackingApi
from tests.commands.folder import start, until
from tests.mock.project import PAGE
from tests.system.service import free_port

EVENT = '{"event": {"user": {"userId": "u-1"}}}'


@pytest.fixture
def mock(folder, monkeypatch):
    """Starts it; its standard output is in `log`, and what it leaves behind would be in `left`."""
    (folder / "left").mkdir()
    monkeypatch.setenv("TMPDIR", str(folder / "left"))
    processes = []

    def mock(*argv):
        with (folder / "log").open("wb") as log:
            process = start("mock", *argv, stdout=log, stderr=log, stdin=subprocess.PIPE)
        processes.append(process)
        until(lambda: (folder / "log").stat().st_size or process.poll() is not None)
        return process

    yield mock
    for process in processes:
        process.terminate()
        process.communicate(timeout=30)


def said(folder):
    return (folder / "log").read_text()


def left(folder):
    return list((folder / "left").iterdir())


def shell(script):
    done = subprocess.run(
        ["bash", "-euc", script], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_the_lines_that_it_prints_can_be_pasted(mock, folder):
    mock("--port", "0", "--token", "abc123")
    track, accepted, rejected, reset = re.findall(r"^  (curl .*)$", said(folder), re.MULTILINE)
    assert "-u abc123:" in track
    assert "HTTP/1.1 204" in shell(track)
    assert [each["hitId"] for each in json.loads(shell(accepted))] == ["hello-1"]
    assert json.loads(shell(rejected)) == []
    shell(reset)
    assert json.loads(shell(accepted)) == []


def test_it_makes_up_a_token_unless_one_is_given(mock, folder):
    mock("--port", "0", "--json")
    api = TrackingApi(**json.loads(said(folder)))
    assert "204" in shell(
        f"curl -i {api.url}/track -u {api.token}: -H 'Content-Type: application/json' -d '{EVENT}'"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_by_a_signal_and_leaves_nothing_behind(mock, folder, number):
    process = mock("--port", "0", "--json")
    assert len(left(folder)) == 1
    process.send_signal(number)
    assert process.wait(20) == 0
    assert left(folder) == []
    assert len(said(folder).splitlines()) == 1


def test_it_ends_with_its_standard_input_if_it_is_told_so(mock, folder):
    process = mock("--port", "0", "--until-eof")
    process.stdin.close()
    process.stdin = None
    assert process.wait(20) == 0
    assert left(folder) == []


def test_projects_and_tokens_are_those_of_a_configuration_and_destinations_are_not(mock, folder):
    projects = "".join(
        f'[projects.{name}]\ntokens = ["{token_digest(name)}"]\ndestinations = ["crm"]\n'
        for name in ("shop", "blog")
    )
    folder.configure(f'{projects}[destinations.crm]\ntype = "nowhere"\nkey = "${{NOT_SET}}"\n')
    mock("--port", "0", "--json", "--token", "abc123", "--config", "segmentstream.toml")
    api = TrackingApi(**json.loads(said(folder)))
    for token in ("abc123", "shop", "blog"):
        shell(f"curl -sSf {api.url}/track -u {token}: --json '{EVENT}'")
    assert [each["project"] for each in api.accepted] == ["shop", "shop", "blog"]
    assert not (folder / "segmentstream.db").exists()


def test_what_a_configuration_says_of_events_holds(mock, folder):
    folder.configure(
        f'[projects.shop]\ntokens = ["{token_digest("shop")}"]\nunknown_events = "reject"\n'
    )
    mock("--port", "0", "--json", "--config", "segmentstream.toml")
    api = TrackingApi(**json.loads(said(folder)))
    event = '{"event": {"name": "Nobody knows it", "user": {"userId": "u-1"}}}'
    assert "HTTP/1.1 400" in shell(f"curl -si {api.url}/track -u shop: --json '{event}'")
    assert api.rejected[0]["violations"][0]["pointer"] == "/event/name"


def test_a_configuration_with_problems_has_them_listed_and_ends_with_2(mock, folder):
    folder.configure("[store]\ncolour = 1\n[projects.shop]\ntokens = []\n")
    assert mock("--port", "0", "--config", "segmentstream.toml").wait(20) == 2
    assert "store.colour: " in said(folder)
    assert left(folder) == []


def test_a_port_that_is_taken_is_a_sentence_and_ends_with_2(mock, folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert mock("--port", port).wait(20) == 2
    assert f"cannot listen on 127.0.0.1:{port}: " in said(folder)
    assert "--port 0 takes a free port" in said(folder)


@pytest.mark.parametrize(
    "argv", [["--port", "65536"], ["--port", "x"], ["--token", "a:b"], ["--token", ""]]
)
def test_a_port_or_a_token_that_cannot_be_is_wrong_usage(run, argv):
    code, _, err = run("mock", *argv)
    assert code == 2
    assert f"argument {argv[0]}: " in err


def test_what_is_not_even_http_is_answered_as_the_service_does(mock, folder):
    mock("--port", "0", "--json")
    port = json.loads(said(folder))["url"].rpartition(":")[2]
    with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert b'"code": "bad_request"' in connection.recv(65536)


def test_the_example_with_curl_is_as_the_page_says(folder):
    (script,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    script = script.replace("8000", str(free_port())).replace(
        "segmentstream-api mock", f"{sys.executable} -m segmentstream_api mock"
    )
    done = subprocess.run(
        ["bash", "-euc", f"set -m\n{script}\nwait"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.count("HTTP/1.1 204") == 1, done.stdout + done.stderr
    assert done.stdout.count("HTTP/1.1 400") == 1
    assert '"hitId": "hit-1"' in done.stdout
    assert '"pointer": "/event/user"' in done.stdout
