from __future__ import annotations

import multiprocessing
import subprocess
import sys
import weakref
from typing import ClassVar

import pytest

from segmentstream_api.destinations.base import Delivered, Retry
from segmentstream_api.destinations.optional import ExtraDestination
from segmentstream_api.destinations.registry import OWN
from segmentstream_api.errors import DestinationUnusable
from segmentstream_api.testing import delivery

EXTRAS = {name: kind for name, kind in OWN.items() if issubclass(kind, ExtraDestination)}


class Client:
    def __init__(self):
        self.sent = 0
        self.closed = 0

    def send(self, deliveries):
        self.sent += len(deliveries)
        return [Delivered()] * len(deliveries)

    def setup(self):
        return "made it"

    def close(self):
        self.closed += 1


class Acme(ExtraDestination):
    type_name = "acme"
    display_name = "Acme"
    extra = "acme"
    library = "json"
    settings_schema: ClassVar = {"type": "object", "properties": {}}

    def __init__(self, fault=None):
        super().__init__("under-test", {})
        self.fault = fault
        self.made: list[Client] = []

    def make_client(self):
        if self.fault:
            raise self.fault
        self.made.append(Client())
        return self.made[-1]


class WithoutLibrary(Acme):
    library = "no_such_library"


class WithoutPackage(Acme):
    library = "no_such_package.module"


MISSING = "needs the extra: pip install 'segmentstream-api[acme]'"


@pytest.mark.parametrize("kind", [WithoutLibrary, WithoutPackage])
def test_the_check_names_the_extra_whose_library_is_missing(kind):
    assert kind().check() == [MISSING]


def test_the_check_finds_nothing_wrong_if_the_library_is_there():
    assert Acme().check() == []


def test_without_its_library_a_destination_keeps_its_events():
    destination = Acme(fault=ImportError("no module named acme"))
    assert destination.send([delivery(1), delivery(2)]) == [Retry(MISSING, misconfigured=True)] * 2


def test_without_its_library_nothing_can_be_set_up():
    with pytest.raises(DestinationUnusable, match="needs the extra"):
        Acme(fault=ImportError()).setup()


def test_settings_that_cannot_work_keep_the_events_until_they_are_mended():
    destination = Acme(fault=DestinationUnusable("the file is missing"))
    assert destination.send([delivery()]) == [Retry("the file is missing", misconfigured=True)]
    destination.fault = None
    assert destination.send([delivery()]) == [Delivered()]


def test_the_client_is_made_with_the_first_event_and_kept():
    destination = Acme()
    assert destination.made == []
    destination.send([delivery(1)])
    destination.send([delivery(2), delivery(3)])
    (client,) = destination.made
    assert client.sent == 3


def test_closing_closes_the_client_once():
    destination = Acme()
    destination.send([delivery()])
    destination.close()
    destination.close()
    assert destination.made[0].closed == 1


def in_the_child(destination, report):
    inherited = weakref.ref(destination.made.pop())
    destination.send([delivery(2)])
    (own,) = destination.made
    destination.close()
    kept = inherited()
    report.send(kept and (kept.sent, kept.closed, own.sent, own.closed))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_makes_a_client_of_its_own_and_leaves_the_parents_alone():
    destination = Acme()
    destination.send([delivery(1)])
    fork = multiprocessing.get_context("fork")
    reports, report = fork.Pipe(duplex=False)
    child = fork.Process(target=in_the_child, args=(destination, report))
    child.start()
    with reports, report:
        assert reports.poll(10)
        assert reports.recv() == (1, 0, 1, 1)
    child.join(10)


@pytest.mark.parametrize("name", EXTRAS)
def test_each_is_known_and_says_what_to_install_where_its_library_is_missing(name):
    """In a process that cannot import it: the registry, the settings and the check work."""
    kind = EXTRAS[name]
    program = f"""
import sys
sys.modules[{kind.library!r}] = None
from segmentstream_api.destinations.registry import load_registry
kind = load_registry(())[{name!r}]
properties = kind.settings_schema["properties"]
settings = {{key: rule["default"] for key, rule in properties.items() if "default" in rule}}
destination = kind("x", settings)
assert kind.library not in [name for name, module in sys.modules.items() if module]
print(destination.check()[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == f"needs the extra: pip install 'segmentstream-api[{kind.extra}]'\n"
