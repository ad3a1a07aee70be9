"""The shape of the package: imports run one way, and importing does nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import textwrap
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "segmentstream_api"

# From what everybody may use to what uses everybody. A module imports from above its own line,
# a package also from within itself.
LAYERS = (
    "version",
    "errors",  # what can go wrong
    "timestamps",
    "group_commit",
    "event",
    "logs",  # the log entries, and how they are written
    "postgresql",  # what the store and the destination of that name share
    "metrics",
    "contract",  # what an event must hold; usable without HTTP
    "destinations",  # they know of no request, no store and no retry
    "config",  # it checks destinations' settings, so it comes after them
    "sources",  # other wires' requests as our documents
    "store",
    "delivery",
    "monitoring",
    "intake",
    "http",
    "app",  # who is made of what
    "mock",  # the same for the tests of a tracker
    "testing",  # what third parties test their destinations and trackers with
    "server",  # gunicorn's side
    "wsgi",
    "commands",
    "cli",
    "__main__",
)


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path):
    """The package's own modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            root, _, inner = name.partition(".")
            if root == PACKAGE.name:
                found.add(inner if inner in MODULES else inner.rpartition(".")[0])
    return found - {""}


IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def layer(name):
    return LAYERS.index(name.partition(".")[0])


def test_every_module_has_its_layer():
    assert {name.partition(".")[0] for name in MODULES if name} == set(LAYERS)


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_run_one_way(name):
    own = name.partition(".")[0]
    upward = {
        other
        for other in IMPORTS[name]
        if other.partition(".")[0] != own and layer(other) >= layer(name)
    }
    assert not upward, f"{name} may not import {upward}"


def test_no_modules_import_one_another_in_a_circle():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_a_module_is_named_for_what_it_is_about():
    nothing_said = {"util", "utils", "common", "helper", "helpers", "misc", "tools"}
    assert not [name for name in MODULES if nothing_said & set(name.split("."))]


def test_importing_a_module_does_nothing_but_define_things():
    """No file written, no connection, no process, no thread, nothing left open; but for wsgi."""
    script = """
        import importlib, json, os, sys, threading

        watched = {"socket.connect", "sqlite3.connect", "subprocess.Popen", "os.fork", "os.mkdir"}
        effects = []

        def watch(event, arguments):
            writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes or event in watched:
                effects.append(f"{name}: {event} {arguments}")

        def state():
            return {
                "files": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
                "threads": threading.active_count(),
                "environment": dict(os.environ),
                "folder": os.getcwd(),
            }

        name = ""
        before = state()
        sys.addaudithook(watch)
        for name in sys.argv[1:]:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                if error.name.startswith("segmentstream_api"):
                    raise  # else an optional dependency that is not installed
        print(json.dumps({"effects": effects, "same": state() == before}))
        """
    names = [f"{PACKAGE.name}.{name}" for name in MODULES if name not in {"", "wsgi", "__main__"}]
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", textwrap.dedent(script), *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout) == {"effects": [], "same": True}


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("contract")])
def test_the_contract_needs_neither_http_nor_metrics(name):
    """A team that only validates documents, in a notebook or a build, takes the contract alone."""
    script = """
        import importlib, sys
        importlib.import_module(sys.argv[1])
        heavy = {"falcon", "gunicorn", "requests", "prometheus_client"}
        print(*sorted(heavy & set(sys.modules)))
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), f"{PACKAGE.name}.{name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "\n"


def test_authors_of_destinations_import_from_one_place():
    import segmentstream_api.destinations as face  # noqa: PLC0415 - what the test is about

    names = (
        "Answer BASE_URL Delivered Delivery Destination Envelope HttpSender Outcome Rejected Retry"
    )
    assert not [name for name in f"{names} TIMEOUT outcome_of".split() if not hasattr(face, name)]
