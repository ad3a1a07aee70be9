from __future__ import annotations

from base64 import b64encode

import pytest

from segmentstream_api.config import Project
from segmentstream_api.errors import Unauthorized
from segmentstream_api.http.auth import Authenticator, token_digest

TOKEN, ROTATED, FOREIGN = "abc123", "abc124", "zwölf-Ж-😀"
SHOP = Project("shop", (token_digest(TOKEN), token_digest(ROTATED)), ())
BLOG = Project("blog", (token_digest(FOREIGN),), ())


@pytest.fixture
def authenticator():
    return Authenticator([SHOP, BLOG])


def basic(credentials, scheme="Basic"):
    raw = credentials.encode() if isinstance(credentials, str) else credentials
    return f"{scheme} {b64encode(raw).decode()}"


def test_the_digest_is_that_of_the_documented_example():
    assert token_digest("abc123") == (
        "sha256:6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090"
    )
    assert token_digest(b"abc123") == token_digest("abc123")


def test_the_token_is_the_user_name_and_decides_the_project(authenticator):
    assert authenticator.project(basic("abc123:")) is SHOP
    assert authenticator.project(basic(f"{FOREIGN}:")) is BLOG


def test_several_tokens_of_a_project_are_valid_at_once(authenticator):
    assert authenticator.project(basic(f"{TOKEN}:")) is SHOP
    assert authenticator.project(basic(f"{ROTATED}:")) is SHOP


@pytest.mark.parametrize("password", ["", "secret", "a:b", "\0", "пароль"])
def test_the_password_is_ignored_and_may_hold_colons(authenticator, password):
    assert authenticator.project(basic(f"{TOKEN}:{password}")) is SHOP


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "bAsIc"])
def test_the_scheme_may_be_written_in_any_case(authenticator, scheme):
    assert authenticator.project(basic(f"{TOKEN}:", scheme)) is SHOP


def test_spaces_around_the_credentials_change_nothing(authenticator):
    assert authenticator.project(f"Basic   {b64encode(b'abc123:').decode()} ") is SHOP


FAILURES = {
    "no header": None,
    "an empty header": "",
    "only a scheme": "Basic",
    "only a scheme and a space": "Basic ",
    "another scheme": basic("abc123:", "Bearer"),
    "a scheme that only begins alike": basic("abc123:", "Basics"),
    "the token in the open": "Basic abc123:",
    "no colon": basic("abc123"),
    "an unknown token": basic("abc12:"),
    "an unknown token that begins like one": basic("abc1234:"),
    "a token in another case": basic("ABC123:"),
    "a space before the token": basic(" abc123:"),
    "no token": basic(":"),
    "the token as password": basic(":abc123"),
    "the digest as token": basic(f"{token_digest(TOKEN)}:"),
    "a character outside base64": "Basic YWJj!MTIzOg==",
    "base64 of the web": "Basic _-==",
    "no padding": "Basic YWJjMTIzOg",
    "too much padding": "Basic YWJjMTIzOg===",
    "something after the padding": "Basic YWJjMTIzOg==YWJj",
    "two headers that were joined": f"{basic('abc123:')},{basic('abc123:')}",
    "a line break inside": "Basic YWJj\nMTIzOg==",
    "letters that are not ASCII": "Basic YWJjMTIzOgü",
    "letters beyond Latin-1": "Basic漢 YWJjMTIzOg==",
    "a lone surrogate": "Basic \ud800",
    "bytes that are not UTF-8": basic(b"\xff\xfe:"),
    "a NUL": basic(b"abc123\0:"),
    "a very long one": basic("a" * 100_000 + ":"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_everything_else_is_refused(authenticator, failure):
    with pytest.raises(Unauthorized):
        authenticator.project(FAILURES[failure])


def test_every_refusal_is_the_same_and_repeats_nothing_of_the_header(authenticator):
    refusals = []
    for header in FAILURES.values():
        with pytest.raises(Unauthorized) as refused:
            authenticator.project(header)
        error = refused.value
        refusals.append((str(error), error.detail, error.title, error.status, error.code))
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
    assert len(set(refusals)) == 1
    assert "abc123" not in str(refusals[0])


def test_without_projects_nobody_comes_in():
    with pytest.raises(Unauthorized):
        Authenticator([]).project(basic("abc123:"))


def test_a_token_shows_in_no_repr(authenticator):
    assert "6ca13d52" not in f"{SHOP!r} {authenticator!r}"
