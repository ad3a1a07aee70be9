from __future__ import annotations

import dataclasses
import json

import pytest

from segmentstream_api.errors import Violation
from segmentstream_api.event.event import new_event

AT = 1_750_000_000.25
WRITTEN = "2025-06-15T15:06:40.250Z"
USER = {"userId": "u-1"}


def event_of(document, *, project="shop", at=AT):
    return new_event(project, document, received_at=at, new_hit_id=lambda: "made-here")


def envelope(document, **more):
    return event_of(document, **more).document


class TestTheEnvelope:
    def test_keeps_what_the_client_sent(self):
        document = {
            "hitId": "h-1",
            "event": {"name": "Registered", "user": USER, "price": 1.5},
            "context": {"ip": "123.22.334.55"},
            "integrations": {"All": False},
            "unknown": [1, {"deep": None}],
        }
        assert envelope(document).items() >= document.items()

    def test_says_whose_it_is_and_when_it_came(self):
        got = envelope({"event": {"user": USER}}, project="blog")
        assert got["project"] == "blog"
        assert got["receivedAt"] == WRITTEN

    def test_cannot_be_told_otherwise_by_the_client(self):
        got = envelope({"event": {"user": USER}, "project": "blog", "receivedAt": "1999-01-01"})
        assert got["project"] == "shop"
        assert got["receivedAt"] == WRITTEN

    def test_has_the_violations_of_the_service_and_never_those_of_the_client(self):
        document = {"event": {"user": USER}, "violations": ["mine"]}
        assert "violations" not in envelope(document)
        found = [Violation("/event/" + "x" * 1000, "must be a number")]
        event = new_event("shop", document, received_at=AT, violations=found)
        (told,) = json.loads(event.body)["violations"]
        assert told == {"pointer": ("/event/" + "x" * 1000)[:256], "detail": "must be a number"}

    def test_has_a_hit_id_even_if_the_client_gave_none(self):
        assert envelope({"event": {"user": USER}})["hitId"] == "made-here"
        assert envelope({"hitId": "h-1", "event": {"user": USER}})["hitId"] == "h-1"

    def test_a_hit_id_that_is_made_here_is_different_each_time(self):
        ids = {
            new_event("shop", {"event": {"user": USER}}, received_at=AT).hit_id for _ in range(9)
        }
        assert len(ids) == 9

    def test_was_sent_when_it_came_if_the_client_does_not_say(self):
        assert envelope({"event": {"user": USER}})["sentAt"] == WRITTEN

    def test_says_in_utc_when_it_was_sent(self):
        got = envelope({"event": {"user": USER}, "sentAt": "2019-02-21T13:56:10+03:00"})
        assert got["sentAt"] == "2019-02-21T10:56:10.000Z"

    def test_holds_a_top_level_user_at_event_user(self):
        got = envelope({"event": {"name": "Registered"}, "user": USER})
        assert got["event"] == {"name": "Registered", "user": USER}
        assert "user" not in got

    def test_of_two_users_holds_both_and_the_one_of_the_event_wins(self):
        got = envelope(
            {
                "event": {"user": {"userId": "inner", "phone": "1"}},
                "user": {"userId": "outer", "firstName": "John"},
            }
        )
        assert got["event"]["user"] == {"userId": "inner", "phone": "1", "firstName": "John"}

    def test_leaves_the_clients_document_as_it_was(self):
        document = {"event": {"user": {"userId": "inner"}}, "user": {"phone": "1"}}
        before = json.dumps(document)
        event_of(document)
        assert json.dumps(document) == before


class TestTheBody:
    def test_is_the_envelope_as_one_line_of_utf_8_json(self):
        event = event_of({"event": {"user": USER, "label": "zwölf\n漢字 😀"}})
        assert json.loads(event.body.decode()) == event.document
        assert b"\n" not in event.body
        assert "漢字 😀".encode() in event.body

    def test_names_its_members_without_a_space_as_the_delivery_expects(self):
        assert b'"integrations":{' in event_of({"event": {"user": USER}, "integrations": {}}).body

    def test_refuses_what_is_not_json(self):
        with pytest.raises(ValueError, match="JSON"):
            event_of({"event": {"user": USER, "price": float("nan")}})


class TestTheName:
    def test_is_that_of_the_event(self):
        assert event_of({"event": {"name": "Registered", "user": USER}}).name == "Registered"

    @pytest.mark.parametrize("event", [{}, {"name": None}, {"name": 7}, {"name": ["x"]}])
    def test_is_empty_if_there_is_none_that_is_text(self, event):
        assert event_of({"event": {**event, "user": USER}}).name == ""


class TestTheKey:
    def test_is_the_same_for_the_same_hit_id_whatever_else_is_sent(self):
        first = event_of({"hitId": "h-1", "event": {"user": USER}})
        again = event_of({"hitId": "h-1", "event": {"user": USER, "label": "x"}}, at=AT + 9)
        assert first.key == again.key
        assert len(first.key) == 16

    def test_differs_between_hit_ids_and_between_projects(self):
        given = [("shop", "h-1"), ("shop", "h-2"), ("blog", "h-1"), ("sho", "ph-1")]
        keys = {
            event_of({"hitId": hit_id, "event": {"user": USER}}, project=project).key
            for project, hit_id in given
        }
        assert len(keys) == len(given)


class TestTheFingerprint:
    def fingerprint(self, **more):
        return event_of({"hitId": "h-1", "event": {"user": USER}, **more}).fingerprint

    def test_is_the_same_when_only_sent_at_differs(self):
        assert self.fingerprint(sentAt="2019-01-01") == self.fingerprint(sentAt="2020-01-01")
        assert self.fingerprint(sentAt="2019-01-01") == self.fingerprint()

    def test_is_the_same_in_whatever_order_the_members_come(self):
        first = event_of({"hitId": "h-1", "event": {"user": USER, "label": "x"}})
        again = event_of({"event": {"label": "x", "user": USER}, "hitId": "h-1"})
        assert first.fingerprint == again.fingerprint

    def test_tells_two_bodies_of_one_hit_id_apart(self):
        assert self.fingerprint(context={"ip": "1"}) != self.fingerprint(context={"ip": "2"})

    def test_is_missing_without_a_hit_id_since_such_an_event_is_never_a_duplicate(self):
        assert event_of({"event": {"user": USER}}).fingerprint is None


def test_an_event_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        event_of({"event": {"user": USER}}).hit_id = "other"
