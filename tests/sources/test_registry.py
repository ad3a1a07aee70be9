from __future__ import annotations

import base64
import json
from importlib import metadata

import falcon.testing
import pytest

from segmentstream_api.app import create_app
from segmentstream_api.config import load_settings
from segmentstream_api.destinations import registry as destinations
from segmentstream_api.errors import ConfigError
from segmentstream_api.http.auth import token_digest
from segmentstream_api.sources import Message, Source, Violation
from segmentstream_api.sources.registry import ENTRY_POINT_GROUP, OWN, load_sources
from segmentstream_api.sources.track import Track


class Lines(Source):
    """A wire of somebody else's: one user id on each line of a JSON text."""

    name = "lines"
    label = "/lines"
    paths = ("/lines",)

    def read(self, document, request, project):
        if not isinstance(document, str):
            return [Message(None, (Violation("", "must be a text"),))]
        return [Message({"event": {"user": {"userId": line}}}) for line in document.splitlines()]


class Squatter(Lines):
    name = "squatter"
    paths = ("/track",)


def entry_point(name, value):
    return metadata.EntryPoint(name, f"{__name__}:{value}", ENTRY_POINT_GROUP)


def test_our_own_have_the_names_that_they_are_registered_under():
    assert {name: source.name for name, source in OWN.items()} == {name: name for name in OWN}


def test_every_path_belongs_to_one_source():
    paths = [path for source in OWN.values() for path in [*source.paths, *source.documents]]
    assert len(paths) == len(set(paths))


def test_another_packages_source_is_found_beside_ours():
    sources = load_sources([entry_point("lines", "Lines")])
    assert sources == {**OWN, "lines": Lines}


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("track", "Lines", "its name must be 'track' too"),
        ("other", "Lines", "its name must be 'other' too"),
        ("lines", "Missing", "cannot be imported"),
        (
            "lines",
            "ENTRY_POINT_GROUP",
            "is not a subclass of segmentstream_api.sources.base.Source",
        ),
        ("squatter", "Squatter", "the path /track belongs to segmentstream-api"),
        ("track", "Track", "the source 'track' exists already"),
    ],
)
def test_one_that_cannot_be_used_is_refused(name, value, fault):
    with pytest.raises(ConfigError) as refused:
        load_sources([entry_point(name, value)])
    assert fault in str(refused.value)


def test_all_problems_are_named_at_once():
    broken = [entry_point("lines", "Missing"), entry_point("squatter", "Squatter")]
    with pytest.raises(ConfigError) as refused:
        load_sources(broken)
    assert len(refused.value.problems) == 2


class TestInAnInstalledPackage:
    @pytest.fixture
    def client(self, tmp_path, monkeypatch):
        """The service beside a package that brings a source, as pip would install it."""
        package = tmp_path / "site"
        info = package / "their_source-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-source\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\nlines = {__name__}:Lines\n")
        monkeypatch.syspath_prepend(package)
        configuration = tmp_path / "segmentstream.toml"
        configuration.write_text(
            f"""
            [store]
            disk_floor_megabytes = 1
            [projects.shop]
            tokens = ["{token_digest("abc123")}"]
            destinations = ["archive"]
            [destinations.archive]
            type = "file"
            path = "archive.jsonl"
            """,
            "utf-8",
        )
        settings = load_settings(configuration, environ={}, registry=destinations.OWN)
        app = create_app(settings)
        yield falcon.testing.TestClient(app)
        app.deliveries.stop()

    def post(self, client, document, user="abc123"):
        credentials = base64.b64encode(f"{user}:".encode()).decode()
        return client.simulate_post(
            "/lines",
            body=json.dumps(document).encode(),
            headers={"Authorization": f"Basic {credentials}"},
        )

    def test_its_events_are_stored_like_ours(self, client, tmp_path):
        assert self.post(client, "u-1\nu-2").status_code == 204
        lines = (tmp_path / "archive.jsonl").read_text().splitlines()
        assert [json.loads(line)["event"]["user"]["userId"] for line in lines] == ["u-1", "u-2"]

    def test_it_refuses_like_ours(self, client):
        assert self.post(client, "u", user="x").status_code == 401
        assert self.post(client, 7).json["errors"] == [{"pointer": "", "detail": "must be a text"}]

    def test_it_is_not_open_to_browsers_unless_it_says_so(self, client):
        assert client.simulate_options("/lines").status_code == 405


def test_a_track_source_is_the_plain_one():
    assert not Track.public
    assert not Track.key_in_body
