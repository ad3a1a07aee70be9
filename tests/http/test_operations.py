from __future__ import annotations

import platform
import re
from pathlib import Path

import falcon.testing
import pytest
from prometheus_client.parser import text_string_to_metric_families

from segmentstream_api.app import create_app
from segmentstream_api.config import load_settings
from segmentstream_api.destinations.registry import OWN
from segmentstream_api.monitoring.readiness import FINDINGS
from segmentstream_api.version import package_version
from tests.system.service import token_digest

PATHS = ("/metrics", "/health", "/ready", "/version")
OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")


@pytest.fixture
def make(tmp_path):
    """Makes the service's client: `floor` is in megabytes, `more` further sections."""
    made = []

    def make(floor=1, more=""):
        path = tmp_path / "segmentstream.toml"
        path.write_text(
            f"""
            {more}
            [store]
            disk_floor_megabytes = {floor}
            [projects.shop]
            tokens = ["{token_digest("abc123")}"]
            destinations = ["crm"]
            [destinations.crm]
            type = "webhook"
            url = "http://secret-host.example/hook"
            """,
            "utf-8",
        )
        app = create_app(load_settings(path, environ={}, registry=OWN))
        made.append(app)
        return falcon.testing.TestClient(app)

    yield make
    for app in made:
        app.deliveries.stop()


@pytest.fixture
def client(make):
    return make()


def test_a_process_that_answers_is_healthy_whatever_its_store(make):
    answer = make(floor=1 << 40).simulate_get("/health")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_it_is_ready_if_events_can_be_taken(client):
    answer = client.simulate_get("/ready")
    assert (answer.status_code, answer.json) == (200, {"status": "ready", "findings": []})


def test_it_is_not_ready_below_the_disk_floor_and_says_so(make):
    answer = make(floor=1 << 40).simulate_get("/ready")
    assert answer.status_code == 503
    assert answer.json == {
        "status": "not_ready",
        "findings": [{"id": "disk_floor", "detail": FINDINGS["disk_floor"]}],
    }


def test_it_is_not_ready_when_the_store_is_gone(make, tmp_path):
    client = make()
    client.app.deliveries.start()
    (tmp_path / "segmentstream.db").rename(tmp_path / "elsewhere")
    answer = client.simulate_get("/ready")
    assert (answer.status_code, answer.json["findings"][0]["id"]) == (503, "store_unusable")


def test_the_documentation_shows_the_answer_and_every_finding(make):
    assert make(floor=1 << 40).simulate_get("/ready").text in OPERATIONS
    section = OPERATIONS.partition("### Findings")[2].partition("###")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(FINDINGS)


def test_the_version_is_told(client):
    assert client.simulate_get("/version").json == {
        "name": "segmentstream-api",
        "version": package_version(),
        "python": platform.python_version(),
        "store": "sqlite",
    }


def test_metrics_are_prometheus_text(client):
    answer = client.simulate_get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"segmentstream_requests", "segmentstream_outbox_waiting"} <= names


@pytest.mark.parametrize("path", PATHS)
class TestEachOfThem:
    def test_needs_no_token_and_is_there_without_the_reference(self, make, path):
        client = make(more="[reference]\nenabled = false")
        assert client.simulate_get(path).status_code == 200

    def test_is_never_kept_by_a_cache(self, client, path):
        assert client.simulate_get(path).headers["cache-control"] == "no-store"

    def test_answers_head_with_the_same_status_and_no_content(self, client, path):
        answer = client.simulate_head(path)
        assert (answer.status_code, answer.content) == (200, b"")

    @pytest.mark.parametrize("method", ["POST", "OPTIONS", "DELETE"])
    def test_answers_no_other_method(self, client, path, method):
        answer = client.simulate_request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        assert answer.json["code"] == "method_not_allowed"

    def test_has_nothing_below_it(self, client, path):
        assert client.simulate_get(f"{path}/x").status_code == 404

    def test_is_not_part_of_what_clients_are_told(self, client, path):
        description = client.simulate_get("/openapi.json").json
        assert all("post" in operations for operations in description["paths"].values())
        assert path not in description["paths"]

    def test_tells_no_address_no_place_and_no_token(self, client, path, tmp_path):
        text = client.simulate_get(path).text
        for secret in ("secret-host", str(tmp_path), token_digest("abc123")):
            assert secret not in text
