from __future__ import annotations

import re

import falcon.testing
import pytest

from segmentstream_api.http.request_id import RequestIds
from segmentstream_api.logs.entries import request_id


class Tells:
    def on_get(self, req, resp):
        resp.media = request_id.get()


@pytest.fixture
def client():
    app = falcon.App(middleware=[RequestIds()])
    app.add_route("/", Tells())
    return falcon.testing.TestClient(app)


def asked(client, given, path="/"):
    raw = {} if given is None else {"HTTP_X_REQUEST_ID": given}  # as a server passes it on
    answer = client.simulate_get(path, extras=raw)
    return answer.headers["x-request-id"], answer.json


@pytest.mark.parametrize(
    "given", ["a", "5eeace0e4cf0513cfda01956718936da", "4c59d330-35c7_11e9.8f27", "x" * 64]
)
def test_a_proxys_id_is_taken_and_told(client, given):
    assert asked(client, given) == (given, given)


@pytest.mark.parametrize(
    "given", [None, "", " ", "x" * 65, "a b", 'a"b', "a\nb", "a\n", "ä", "<script>", "a,b", "%0a"]
)
def test_what_cannot_be_one_is_replaced(client, given):
    told, inside = asked(client, given)
    assert told == inside != given
    assert re.fullmatch("[0-9a-f]{32}", told)


def test_every_request_has_its_own(client):
    assert asked(client, None) != asked(client, None)


def test_an_answer_that_nothing_was_found_has_one_too(client):
    assert asked(client, "a-1", "/nowhere")[0] == "a-1"


def test_it_does_not_outlive_its_request(client):
    asked(client, "a-1")
    assert request_id.get() is None
