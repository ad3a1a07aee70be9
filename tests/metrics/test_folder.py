from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

MAKES_ONE = """
    import os, sys
    from pathlib import Path
    from segmentstream_api.metrics import folder as metrics_folder

    folder = metrics_folder.make(Path(sys.argv[1]))
    assert "prometheus_client" not in sys.modules
    assert metrics_folder.make() == metrics_folder.current() == folder
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(folder)
    from segmentstream_api.metrics import declared as metrics
    """


@pytest.fixture
def run(tmp_path):
    """Starts a process that makes a folder, and then does what is given."""
    started = []

    def run(then: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(MAKES_ONE) + textwrap.dedent(then), tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # As in a folder of another service: it must not count there.
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": "/nowhere"},
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def folders(parent: Path) -> list[Path]:
    return sorted(parent.iterdir())


STAYS = 'print("made", flush=True); sys.stdin.readline()'


def test_metrics_are_counted_in_it_and_it_goes_with_the_process_that_made_it(run, tmp_path):
    process = run(
        """
        metrics.event("new")
        if os.fork() == 0:
            metrics.event("new")
            sys.exit()
        os.wait()
        print(sorted(path.name.partition("_")[0] for path in folder.glob("*.db")))
        """
    )
    assert process.communicate()[0] == "['counter', 'counter', 'histogram', 'histogram']\n"
    assert process.returncode == 0
    assert folders(tmp_path) == []


def test_each_start_has_its_own_and_removes_those_that_nobody_uses_any_more(run, tmp_path):
    first, second = run(STAYS), run(STAYS)
    for process in (first, second):
        assert process.stdout.readline() == "made\n"
    assert len(folders(tmp_path)) == 2
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert len(folders(tmp_path)) == 2
    third = run(STAYS)
    assert third.stdout.readline() == "made\n"
    assert len(folders(tmp_path)) == 2
    for process in (second, third):
        process.communicate("\n")
        assert process.returncode == 0
    assert folders(tmp_path) == []


def test_a_worker_that_outlives_the_main_process_keeps_it(run, tmp_path):
    process = run(
        """
        if os.fork() == 0:
            print("made", flush=True)
            sys.stdin.readline()
            os._exit(0)
        os.kill(os.getpid(), 9)
        """
    )
    assert process.stdout.readline() == "made\n"
    process.wait()
    other = run(STAYS)
    assert other.stdout.readline() == "made\n"
    assert len(folders(tmp_path)) == 2


def test_what_is_not_ours_is_left_alone(run, tmp_path):
    (tmp_path / "segmentstream-metrics-half-made").mkdir()
    (tmp_path / "another").mkdir()
    run("").communicate()
    assert [path.name for path in folders(tmp_path)] == [
        "another",
        "segmentstream-metrics-half-made",
    ]
