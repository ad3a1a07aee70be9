"""What is published: the contents of the sdist and of the wheel."""

from __future__ import annotations

import email
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from tests.supply.distribution import Distribution

DATA = "segmentstream_api/data/"


def files(source: Path) -> set[str]:
    """Those of the checkout: without what the builds left."""
    found = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    left = ("build", "segmentstream_api.egg-info")
    return {path.as_posix() for path in found if path.parts[0] not in left}


@pytest.fixture
def in_wheel(distribution: Distribution) -> set[str]:
    return set(zipfile.ZipFile(distribution.wheel).namelist())


def metadata(wheel: Path) -> bytes:
    archive = zipfile.ZipFile(wheel)
    (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
    return archive.read(name)


def test_the_wheel_has_the_package_and_nothing_else_of_the_checkout(
    distribution: Distribution, in_wheel: set[str]
):
    package = {name for name in files(distribution.source) if name.startswith("segmentstream_api/")}
    code = {name for name in in_wheel if ".dist-info/" not in name and not name.startswith(DATA)}
    assert code == package
    for name in (
        "py.typed",
        "http/static/docs.html",
        "http/static/swagger-ui/swagger-ui-bundle.js",
        "sources/segment/commerce.json",
    ):
        assert f"segmentstream_api/{name}" in code


def test_the_schemas_and_gunicorns_settings_travel_in_the_wheel(
    distribution: Distribution, in_wheel: set[str]
):
    data = {name.removeprefix(DATA) for name in in_wheel if name.startswith(DATA)}
    schemas = {name for name in files(distribution.source) if name.startswith("schemas/")}
    assert data == {"gunicorn.conf.py", *schemas}
    assert {"schemas/track.json", "schemas/config.json", "schemas/problem.json"} < data
    for folder in ("schemas/events/", "schemas/objects/"):
        assert any(name.startswith(folder) for name in data)
    archive = zipfile.ZipFile(distribution.wheel)
    for name in data:
        assert archive.read(DATA + name) == (distribution.source / name).read_bytes()


def test_every_licence_travels_in_the_wheel(in_wheel: set[str]):
    licences = {name.partition("/licenses/")[2] for name in in_wheel if "/licenses/" in name}
    vendored = "segmentstream_api/http/static/swagger-ui/"
    assert licences == {"LICENSE", f"{vendored}LICENSE", f"{vendored}NOTICE"}


def test_the_metadata_are_valid_and_show_the_readme(distribution: Distribution):
    raw = metadata(distribution.wheel)
    checked = Metadata.from_email(raw, validate=True)
    assert checked.name == "segmentstream-api"
    assert checked.license_expression == "MIT AND Apache-2.0"
    assert checked.description_content_type == "text/markdown"
    readme = (distribution.source / "README.md").read_text("utf-8")
    assert (checked.description or "").strip() == readme.strip()
    assert email.message_from_bytes(raw)["Requires-Python"] == ">=3.11"


def test_the_sdist_has_everything_that_git_keeps(distribution: Distribution):
    with tarfile.open(distribution.sdist) as archive:
        found = {each.name.partition("/")[2] for each in archive if each.isfile()}
    assert files(distribution.source) - found == set()


def test_the_wheel_of_the_sdist_is_the_wheel_of_the_checkout_to_the_byte(
    distribution: Distribution,
):
    assert distribution.wheel.name == distribution.rebuilt.name
    wheel, rebuilt = (zipfile.ZipFile(each) for each in (distribution.wheel, distribution.rebuilt))
    assert wheel.namelist() == rebuilt.namelist()
    assert distribution.wheel.read_bytes() == distribution.rebuilt.read_bytes()
