from __future__ import annotations

import json

import falcon.testing
import pytest

from segmentstream_api.mock.refusals import Refusals

BAD = {"type": "track", "userId": "u", "messageId": "m-2"}
GOOD = {**BAD, "event": "A", "messageId": "m-1"}
ERRORS = [{"pointer": "/event", "detail": "is required"}]


@pytest.fixture
def post():
    """Posts a batch to an application that answers so: what was noted, and what the client got."""

    def post(status, answer, document):
        def application(environ, start_response):
            environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            start_response(status, [])
            return [json.dumps(answer).encode()]

        refusals = Refusals(application)
        body = json.dumps(document)
        environ = falcon.testing.create_environ("/v1/batch", method="POST", body=body)
        got = b"".join(refusals(environ, lambda *_: bytes))
        return refusals.noted, json.loads(got)

    return post


def test_a_message_that_was_refused_in_an_accepted_batch_is_noted_with_its_document(post):
    answer = {
        "success": True,
        "rejected": [{"index": 1, "messageId": "m-2", "errors": ERRORS}],
    }
    noted, got = post("200 OK", answer, {"batch": [GOOD, BAD]})
    assert got == answer
    (only,) = noted
    assert (only["path"], only["status"], only["code"]) == ("/v1/batch", 200, "invalid_event")
    assert only["violations"] == ERRORS
    assert only["document"] == BAD


@pytest.mark.parametrize("answer", [{"success": True}, {}])
def test_a_batch_without_refusals_is_not_noted(post, answer):
    assert post("200 OK", answer, {"batch": [GOOD]}) == ([], answer)


def test_a_refused_batch_is_noted_as_one(post):
    noted, _ = post("400 Bad Request", {"code": "invalid_event", "detail": "d"}, {"batch": [BAD]})
    assert [each["status"] for each in noted] == [400]
