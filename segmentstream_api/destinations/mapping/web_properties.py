"""Page, campaign, browser and system under the names that Mixpanel and PostHog share.

Sources: https://docs.mixpanel.com/docs/data-structure/property-reference/default-properties,
https://posthog.com/docs/data/events#default-properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segmentstream_api.destinations.mapping.envelope import mapping, text

_PLACES = {
    "$current_url": ("page", "url"),
    "$referrer": ("page", "referrer"),
    "$browser": ("browser", "name"),
    "$browser_version": ("browser", "version"),
    "$os": ("os", "name"),
    "utm_campaign": ("campaign", "name"),
    "utm_source": ("campaign", "source"),
    "utm_medium": ("campaign", "medium"),
    "utm_term": ("campaign", "term"),
    "utm_content": ("campaign", "content"),
}


def web_properties(context: Mapping[str, Any]) -> dict[str, str]:
    """Those that an event's `context` says, as text."""
    found = {}
    for name, (section, field) in _PLACES.items():
        value = text(mapping(context.get(section)).get(field))
        if value is not None:
            found[name] = value
    return found
