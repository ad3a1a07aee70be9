from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import falcon
import pytest
from prometheus_client import REGISTRY, Counter, Histogram

from segmentstream_api.contract.schemas import load_schema
from segmentstream_api.destinations.base import Outcome
from segmentstream_api.errors import ForbiddenOrigin, Refused, TooManyRequests, UnknownProject
from segmentstream_api.metrics import declared as metrics
from segmentstream_api.store.records import Acceptance
from tests.declared import declared
from tests.http.test_track import EVENT, Api, basic

ROOT = Path(__file__).parents[2]
DOCUMENTED = {
    name: (kind, tuple(re.findall(r"`(\w+)`", labels)))
    for name, kind, labels in re.findall(
        r"^\| `(segmentstream_\w+)` \| (\w+) \| ([^|]*)\|",
        (ROOT / "docs" / "operations.md").read_text("utf-8"),
        re.MULTILINE,
    )
}
MADE_UP = 2_000


@pytest.fixture
def api(tmp_path) -> Iterator[Api]:
    api = Api(tmp_path, 'event_types = "report"\nunknown_events = "report"')
    yield api
    api.app.deliveries.stop()


def series() -> set[tuple[str, str]]:
    """Every series there is, by name and labels."""
    return {
        (sample.name, json.dumps(sample.labels, sort_keys=True))
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name.startswith("segmentstream_")
    }


def answered(status, code, path="/track"):
    labels = {"path": path, "status": str(status), "code": code}
    return REGISTRY.get_sample_value("segmentstream_requests_total", labels) or 0


def test_every_metric_is_documented_with_its_kind_and_labels_and_nothing_else_is():
    assert declared() == DOCUMENTED


def test_names_say_what_is_counted_and_in_which_unit():
    """https://prometheus.io/docs/practices/naming/."""
    for name, (kind, labels) in declared().items():
        assert re.fullmatch(r"segmentstream(_[a-z]+)+", name)
        assert name.endswith("_total") == (kind == "counter")
        assert not re.search(r"_(ms|milliseconds|minutes|hours|percent)$", name)
        assert not {"le", "quantile", "instance", "job"} & set(labels)


def test_every_declared_metric_is_in_the_list_that_the_tests_go_by():
    known = {
        value
        for value in vars(metrics).values()
        if isinstance(value, (Counter, Histogram, metrics.Reading))
    }
    assert known == {*metrics.COUNTED, *metrics.READ}


def test_every_answer_begins_at_0():
    codes = {example["code"] for example in load_schema("problem.json")["examples"]}
    known = {code for _, code in metrics.ANSWERS}
    assert known == codes - {"not_found"} | {""}  # what is not found is not at /track
    kinds = set(Refused.__subclasses__()) - {
        ForbiddenOrigin,
        TooManyRequests,
        UnknownProject,
    }  # not at /track
    assert {(each.status, each.code) for each in kinds} <= set(metrics.ANSWERS)


def test_every_acceptance_and_every_outcome_begins_at_0():
    assert set(metrics.ACCEPTANCES) == {each.value for each in Acceptance}
    assert set(metrics.OUTCOMES) == {each.__name__.lower() for each in get_args(Outcome)}


def test_a_destination_begins_at_0():
    metrics.destination("new-one")
    for outcome in metrics.OUTCOMES:
        labels = {"destination": "new-one", "outcome": outcome}
        assert REGISTRY.get_sample_value("segmentstream_deliveries_total", labels) == 0
    count = "segmentstream_delivery_seconds_count"
    assert REGISTRY.get_sample_value(count, {"destination": "new-one"}) == 0


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (EVENT, {}, 204, ""),
        (EVENT, {"Authorization": ""}, 401, "unauthorized"),
        (b"{", {}, 400, "invalid_json"),
        ({}, {}, 400, "invalid_event"),
        (EVENT, {"Content-Type": "text/plain"}, 400, "content_type"),
    ],
)
def test_an_answer_is_counted_once_by_status_and_code(api, body, headers, status, code):
    before = answered(status, code), sum_of_requests()
    assert api.post(body, **headers).status_code == status
    assert (answered(status, code), sum_of_requests()) == (before[0] + 1, before[1] + 1)


def test_problems_elsewhere_are_counted_as_such(api):
    before = answered(404, "not_found", "other"), answered(405, "method_not_allowed", "other")
    api.client.simulate_post("/v2/track")
    api.client.simulate_post("/metrics")
    after = answered(404, "not_found", "other"), answered(405, "method_not_allowed", "other")
    assert after == (before[0] + 1, before[1] + 1)


def test_what_is_not_a_problem_elsewhere_is_not_counted(api):
    before = sum_of_requests()
    for path in ("/health", "/ready", "/version", "/metrics", "/docs"):
        assert api.client.simulate_get(path).status_code == 200
    assert sum_of_requests() == before


def sum_of_requests():
    return sum(
        sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == "segmentstream_requests_total"
    )


def test_seconds_add_up_to_the_same_sum_in_any_order():
    """0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1."""
    name = "segmentstream_delivery_seconds_sum"
    for destination, seconds in (("up", (0.1, 0.2, 0.3)), ("down", (0.3, 0.2, 0.1))):
        metrics.destination(destination)
        for each in seconds:
            metrics.delivery_seconds(destination, each)
    up, down = (REGISTRY.get_sample_value(name, {"destination": d}) for d in ("up", "down"))
    assert up == down == pytest.approx(0.6, abs=1e-5)


def hostile_requests(api, number):
    """What a client makes up to fill our memory, or somebody's disk."""
    name = f"made-up-{number}"
    document = {
        "event": {"name": name, "user": {"userId": name}, name: name},
        "integrations": {name: True, "crm": {name: name}},
        name: name,
    }
    yield api.post(document)
    yield api.post({**document, "event": {"name": "Viewed Product", "product": {name: 1}}})
    purchase = {"name": "Completed Transaction", "user": {"userId": "u"}, name: 1}
    items = [{name: {name: number}}] * (1 + number % 60)
    yield api.post({"event": {**purchase, "transaction": {name: number, "lineItems": items}}})
    yield api.post({"event": name, f"/{name}~": number})
    yield api.post(b"{", **{"Content-Type": f"application/{name}"})
    yield api.post(document, **basic(f"{name}:{name}"))
    yield api.client.simulate_get(f"/{name}", query_string=f"{name}={name}")
    yield api.client.simulate_request(f"M{number}", f"/track/{name}")
    yield api.client.simulate_request(f"M{number}", "/track")
    yield api.client.simulate_get("/metrics", query_string=f"name[]={name}")


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")  # as made up here
def test_no_client_makes_a_metric(api):
    before = None
    for number in range(MADE_UP // 10):
        for answer in hostile_requests(api, number):
            assert answer.status_code < 500
            assert answer.status != falcon.HTTP_200 or "segmentstream" in answer.text
        before = before or series()  # of the first, some are new
    assert series() == before
    assert not [labels for _, labels in series() if "made-up" in labels]


def test_what_a_source_is_answered_begins_at_0(api):
    for status, code in (
        (200, ""),
        (401, "unauthorized"),
        (413, "too_large"),
        (503, "unavailable"),
    ):
        of_v1 = {"path": "/v1", "status": str(status), "code": code}
        assert REGISTRY.get_sample_value("segmentstream_requests_total", of_v1) is not None
    labels = {"path": "/v1", "code": "invalid_event"}
    assert REGISTRY.get_sample_value("segmentstream_refused_messages_total", labels) is not None
