from __future__ import annotations

from segmentstream_api.destinations.mapping.web_properties import web_properties
from tests.destinations.events import with_context


def test_a_full_context_gives_every_property():
    assert web_properties(with_context().document["context"]) == {
        "$current_url": "https://shop.example.com/p/123?color=black",
        "$referrer": "https://www.example.com/",
        "$browser": "Firefox",
        "$browser_version": "128.0",
        "$os": "Linux",
        "utm_campaign": "summer",
        "utm_source": "google",
        "utm_medium": "cpc",
        "utm_term": "boots",
        "utm_content": "a",
    }


def test_what_is_missing_empty_or_of_another_type_is_left_out():
    context = {"page": {"url": "", "referrer": 1}, "os": "Linux", "campaign": ["x"], "browser": {}}
    assert web_properties(context) == {}
    assert web_properties({}) == {}
