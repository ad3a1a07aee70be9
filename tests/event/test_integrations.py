from __future__ import annotations

import pytest

from segmentstream_api.event.integrations import Names, select

ARCHIVE = Names("archive", "File")
CRM = Names("crm", "Webhook")
ANALYTICS = Names("web", "Google Analytics")
PROJECT = (ARCHIVE, CRM, ANALYTICS)
EVERYBODY = ("archive", "crm", "web")


@pytest.mark.parametrize(
    ("integrations", "goes_to"),
    [
        ({}, EVERYBODY),
        ({"crm": False}, ("archive", "web")),
        ({"crm": {"list": 7}}, EVERYBODY),
        ({"crm": True}, EVERYBODY),
        ({"All": False}, ()),
        ({"All": False, "crm": True}, ("crm",)),
        ({"All": False, "crm": {"list": 7}}, ("crm",)),
        ({"All": False, "crm": {}}, ("crm",)),
        ({"All": True}, EVERYBODY),
        ({"All": True, "crm": False}, ("archive", "web")),
        ({"All": {"anything": 1}}, EVERYBODY),
        ({"nobody": True}, EVERYBODY),
        ({"nobody": False}, EVERYBODY),
        ({"All": False, "nobody": True}, ()),
    ],
)
def test_everything_is_on_until_it_is_switched_off(integrations, goes_to):
    assert select(integrations, PROJECT).destinations == goes_to


@pytest.mark.parametrize("name", ["web", "WEB", "Google Analytics", "google analytics"])
def test_a_destination_answers_to_its_own_name_and_its_display_name_in_any_case(name):
    assert select({"All": False, name: True}, PROJECT).destinations == ("web",)


@pytest.mark.parametrize("name", ["All", "all", "ALL"])
def test_all_is_all_in_any_case(name):
    assert select({name: False}, PROJECT).destinations == ()


def test_a_display_name_means_every_destination_of_its_type():
    two = (Names("crm", "Webhook"), Names("erp", "Webhook"), ARCHIVE)
    assert select({"Webhook": False}, two).destinations == ("archive",)


def test_the_own_name_goes_before_the_display_name():
    two = (Names("crm", "Webhook"), Names("erp", "Webhook"))
    assert select({"Webhook": False, "erp": True}, two).destinations == ("erp",)
    assert select({"erp": False, "Webhook": True}, two).destinations == ("crm",)


def test_destinations_stay_in_the_projects_order():
    assert select({"web": True, "archive": True}, PROJECT).destinations == EVERYBODY


def test_names_that_nobody_answers_to_are_told_as_they_were_written():
    integrations = {"All": True, "Krm": False, "CRM": False, "file": {}, "Facebook": True}
    assert select(integrations, PROJECT).unknown == ("Krm", "Facebook")


def test_a_project_without_destinations_gets_along_with_any_integrations():
    assert select({"All": False, "crm": True}, ()).destinations == ()


class TestOptions:
    def options(self, integrations):
        return ANALYTICS.options({"event": {}, "integrations": integrations})

    def test_are_what_stands_under_either_name_in_any_case(self):
        for name in ("web", "Google Analytics", "WEB", "google analytics"):
            assert self.options({name: {"clientId": "1"}}) == {"clientId": "1"}

    def test_under_the_own_name_go_before_those_under_the_display_name(self):
        both = {"Google Analytics": {"clientId": "shared"}, "web": {"clientId": "own"}}
        assert self.options(both) == {"clientId": "own"}

    @pytest.mark.parametrize("integrations", [{}, {"web": True}, {"crm": {"list": 7}}, None])
    def test_are_empty_if_there_are_none_for_it(self, integrations):
        assert self.options(integrations) == {}

    def test_are_empty_for_an_event_without_integrations(self):
        assert ANALYTICS.options({"event": {}}) == {}
