from __future__ import annotations

import http.client
import signal
import socket
from pathlib import Path

import pytest

from segmentstream_api.commands.serve import gunicorn_settings
from segmentstream_api.store.records import DestinationState
from tests.commands.folder import CONFIGURATION, start, until
from tests.system.service import free_port

QUICK = ("--workers", "1", "--threads", "2")


@pytest.fixture
def serve(folder):
    """Starts the service; `started.log` has what it said."""
    processes = []

    def serve(*argv):
        with (folder / "log").open("wb") as log:
            process = start("serve", *argv, *QUICK, stdout=log, stderr=log, start_new_session=True)
        processes.append(process)
        return process

    yield serve
    for process in processes:
        if process.poll() is None:
            process.terminate()
            process.wait(30)


def said(folder):
    return (folder / "log").read_text()


def refused(serve, folder, *argv):
    """How it ended, and what it said."""
    code = serve(*argv).wait(30)
    assert "Traceback" not in said(folder)
    return code, said(folder)


def test_it_becomes_gunicorn_with_the_options_that_it_was_given(serve, folder):
    port = free_port()
    (folder / "my.toml").write_text(CONFIGURATION)
    (folder / "segmentstream.toml").unlink()
    folder.note("archive", DestinationState("open", 1.0, "disk full", 1.0))
    process = serve("--bind", f"127.0.0.1:{port}", "--config", "my.toml", "--chdir", "/")
    until(lambda: "Post an event" in said(folder) or process.poll() is not None)
    assert f"Listening on http://127.0.0.1:{port}. Post an event:" in said(folder)
    until(lambda: "Booting worker" in said(folder))
    assert said(folder).count("Booting worker") == 1
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/track")
    assert connection.getresponse().status == 405
    connection.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    with folder.store() as store:  # whose breakers were those of an earlier process
        state = store.stats()["archive"].state
    assert (state.breaker, state.last_error) == ("closed", "disk full")


def test_the_token_is_greeted_with_on_a_terminal_alone(serve, folder):
    """Elsewhere standard output is kept: a journal, a container's log."""
    (folder / "segmentstream.token").write_text("the-token-of-init\n")
    process = serve("--bind", f"127.0.0.1:{free_port()}")
    until(lambda: "Post an event" in said(folder) or process.poll() is not None)
    assert f'-u "$(cat {folder / "segmentstream.token"})": ' in said(folder)
    assert "the-token-of-init" not in said(folder)


def test_a_port_that_is_taken_is_a_sentence_and_ends_with_2(serve, folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, text = refused(serve, folder, "--bind", f"127.0.0.1:{port}")
    assert code == 2
    assert f"Port {port} on 127.0.0.1 is taken by another program." in text


def test_a_configuration_with_problems_has_them_listed_and_ends_with_2(serve, folder):
    folder.configure("[store]\ncolour = 1\n[projects.shop]\ntokens = []\n")
    code, text = refused(serve, folder)
    assert code == 2
    assert "store.colour: " in text
    assert "projects.shop.tokens: " in text


def test_without_a_configuration_it_says_how_to_make_one(serve, folder):
    (folder / "segmentstream.toml").unlink()
    code, text = refused(serve, folder)
    assert code == 2
    assert "`segmentstream-api init` makes one" in text


def test_a_configuration_without_its_option_is_not_taken_for_an_application(serve, folder):
    code, text = refused(serve, folder, "my.toml")
    assert code == 2
    assert "--config FILE names a configuration" in text


def test_gunicorns_settings_are_those_of_the_package_or_else_of_the_checkout(tmp_path):
    assert gunicorn_settings() == Path(__file__).parents[2] / "gunicorn.conf.py"
    package = tmp_path / "package"
    (package / "data").mkdir(parents=True)
    (package / "data" / "gunicorn.conf.py").touch()
    assert gunicorn_settings(package) == package / "data" / "gunicorn.conf.py"
