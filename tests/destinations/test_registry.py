from __future__ import annotations

from importlib import metadata

import pytest

from segmentstream_api.destinations.base import Delivered, Destination
from segmentstream_api.destinations.file.destination import File
from segmentstream_api.destinations.registry import (
    ENTRY_POINT_GROUP,
    OWN,
    destination_class,
    load_registry,
)
from segmentstream_api.destinations.webhook.destination import Webhook
from segmentstream_api.errors import (
    ConfigError,
    DuplicateDestinationType,
    UnknownDestinationType,
)


class Acme(Destination):
    type_name = "acme"
    display_name = "Acme"

    def send(self, deliveries):
        return [Delivered()] * len(deliveries)


NOT_A_DESTINATION = dict


def entry_point(name, value):
    return metadata.EntryPoint(name=name, value=value, group=ENTRY_POINT_GROUP)


ACME = entry_point("acme", f"{__name__}:Acme")


@pytest.fixture
def installed_package(tmp_path, monkeypatch):
    """Puts a package on the path that registers one entry point."""

    def install(name, entry):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{entry}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    return install


def test_the_packages_own_types_are_known():
    registry = load_registry(entry_points=())
    assert registry["file"] is File
    assert registry["webhook"] is Webhook


def test_every_own_type_stands_under_its_own_name():
    assert {name: kind.type_name for name, kind in OWN.items()} == {name: name for name in OWN}


def test_display_names_are_unique_whatever_their_case():
    names = [kind.display_name.lower() for kind in OWN.values()]
    assert len(names) == len(set(names))


def test_a_type_of_another_package_is_known_too():
    assert load_registry([ACME])["acme"] is Acme


def test_installed_packages_are_found(installed_package):
    installed_package("acme-destinations", f"acme = {__name__}:Acme")
    assert load_registry()["acme"] is Acme


def test_the_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        load_registry([])["acme"] = Acme  # type: ignore[index]  # what is tested


def test_loading_one_registry_does_not_change_another():
    load_registry([ACME])
    assert "acme" not in load_registry([])


@pytest.mark.parametrize("name", ["file", "acme"])
def test_a_type_that_two_want_is_refused_and_both_are_named(name):
    twice = [ACME, entry_point(name, "other.package:Thing")]
    with pytest.raises(DuplicateDestinationType, match=r"claimed by .+ and by other\.package"):
        load_registry(twice)


def test_an_unknown_type_is_answered_with_the_known_ones():
    registry = load_registry([ACME])
    known = ", ".join(sorted(registry))
    with pytest.raises(UnknownDestinationType, match=f"known: {known}$") as caught:
        destination_class(registry, "webhok")
    assert caught.value.type_name == "webhok"


def test_a_known_type_is_its_class():
    assert destination_class(load_registry([]), "file") is File


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("acme", "no_such_module:Acme", "cannot be imported: ModuleNotFoundError"),
        ("acme", f"{__name__}:Nobody", "cannot be imported: AttributeError"),
        ("thing", f"{__name__}:NOT_A_DESTINATION", "is no subclass of"),
        ("thing", f"{__name__}:ACME", "is no subclass of"),
        ("acme2", f"{__name__}:Acme", "its type_name must be 'acme2' too"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_named_with_the_reason(name, value, detail):
    with pytest.raises(ConfigError) as caught:
        load_registry([entry_point(name, value)])
    (problem,) = caught.value.problems
    assert f"{name} = {value}" in problem.place
    assert detail in problem.detail


def test_the_package_of_an_unusable_entry_point_is_named(installed_package):
    installed_package("acme-destinations", "acme = no_such_module:Acme")
    with pytest.raises(ConfigError, match="acme-destinations: acme = no_such_module:Acme"):
        load_registry()


def test_all_unusable_entry_points_are_reported_at_once():
    broken = [entry_point(f"acme{n}", "no_such_module:Acme") for n in range(3)]
    with pytest.raises(ConfigError) as caught:
        load_registry(broken)
    assert len(caught.value.problems) == 3
