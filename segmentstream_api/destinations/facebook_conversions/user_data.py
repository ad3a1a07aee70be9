"""Who it was, as Meta's Conversions API wants it: normalised, then hashed.

Source, with the test vectors:
https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/customer-information-parameters.
Called by `facebook_events.py`. What cannot be normalised is left out.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from segmentstream_api.destinations.mapping.envelope import Envelope, identifier, text

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DATE = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})([T ].*)?", re.DOTALL)
_COUNTRY = re.compile(r"[a-z]{2}")  # ISO 3166-1 alpha-2
_GENDERS = {"f": "f", "female": "f", "m": "m", "male": "m"}


def user_data(envelope: Envelope) -> dict[str, Any]:
    """`user_data` of one event. There is always an `external_id`: every event has a user."""
    user = envelope.user
    emails = _hashed(_email, [user.get("email"), *_list(user.get("emails"))])
    found: dict[str, Any] = {
        "em": emails or _already_hashed(user.get("emailHash")),
        "ph": _hashed(_digits, [user.get("phone"), *_list(user.get("phones"))]),
        "fn": _hashed(_name, [user.get("firstName")]),
        "ln": _hashed(_name, [user.get("lastName")]),
        "ge": _hashed(_gender, [user.get("gender")]),
        "db": _hashed(_birth_date, [user.get("birthDate")]),
        "ct": _hashed(_place, [user.get("city")]),
        "st": _hashed(_place, [user.get("state")]),
        "zp": _hashed(_postcode, [user.get("zip")]),
        "country": _hashed(_country, [user.get("country")]),
        "external_id": _hashed(str.strip, [user.get("userId"), user.get("anonymousId")]),
        "client_ip_address": envelope.ip,
        "client_user_agent": envelope.user_agent,
        "fbc": text(envelope.options.get("fbc")) or text(user.get("fbc")),
        "fbp": text(envelope.options.get("fbp")) or text(user.get("fbp")),
    }
    return {key: value for key, value in found.items() if value}


def _hashed(normalise: Callable[[str], str], values: Iterable[Any]) -> list[str]:
    """The hash of each value, without repetition. What is a hash already stays as it is."""
    hashes: dict[str, None] = {}
    for value in filter(None, map(identifier, values)):
        if already := _already_hashed(value):
            hashes[already[0]] = None
        elif normal := normalise(value):
            hashes[hashlib.sha256(normal.encode()).hexdigest()] = None
    return list(hashes)


def _already_hashed(value: Any) -> list[str]:
    digest = (text(value) or "").strip().lower()
    return [digest] if _SHA256.fullmatch(digest) else []


def _email(value: str) -> str:
    address = value.strip().lower()
    return address if "@" in address else ""


def _digits(phone: str) -> str:
    """With its country code, which nobody but the client knows."""
    return "".join(each for each in phone if each.isascii() and each.isdigit()).lstrip("0")


def _name(value: str) -> str:
    return _without("P", value.strip().lower())


def _gender(value: str) -> str:
    return _GENDERS.get(value.strip().lower(), "")


def _birth_date(value: str) -> str:
    date = _DATE.fullmatch(value.strip())
    return "".join(date.groups()[:3]) if date else ""


def _place(value: str) -> str:
    """A city or a state: no punctuation, symbols, digits or spaces."""
    return _without("PSNZC", value.lower())


def _postcode(value: str) -> str:
    """Without spaces, and of a US code with a dash the first part."""
    return "".join(value.lower().split()).partition("-")[0]


def _country(value: str) -> str:
    code = value.strip().lower()
    return code if _COUNTRY.fullmatch(code) else ""


def _without(categories: str, value: str) -> str:
    """The value without the characters whose Unicode category begins with one of these letters."""
    return "".join(each for each in value if unicodedata.category(each)[0] not in categories)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
