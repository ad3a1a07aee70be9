from __future__ import annotations

import io
import json
import sys
import tomllib

import pytest

from segmentstream_api.commands.token import new_token
from segmentstream_api.http.auth import token_digest


@pytest.fixture
def standard_input(monkeypatch):
    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


def test_a_token_comes_with_its_digest_and_the_line_to_add(run):
    code, out, err = run("token")
    assert (code, err) == (0, "")
    token = out.split()[1]
    assert f"Digest:  {token_digest(token)}\n" in out
    assert f'\n  tokens = ["{token_digest(token)}"]\n' in out


def test_json_holds_the_three(run):
    made = json.loads(run("token", "--json")[1])
    assert made["digest"] == token_digest(made["token"])
    assert tomllib.loads(made["toml"]) == {"tokens": [made["digest"]]}


def test_no_token_looks_like_an_option():
    assert not any(new_token().startswith("-") for _ in range(1000))


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_digest_of_a_given_token_is_without_the_end_of_the_line(run, standard_input, end):
    standard_input(b"abc123" + end)
    assert run("token", "--digest") == (0, f"{token_digest('abc123')}\n", "")


def test_the_digest_may_be_json(run, standard_input):
    standard_input(b"abc123\n")
    assert json.loads(run("token", "--digest", "--json")[1]) == {"digest": token_digest("abc123")}


def test_a_token_is_bytes_and_not_a_text(run, standard_input):
    standard_input(b"\xff\xfe")
    assert run("token", "--digest")[1] == f"{token_digest(bytes([255, 254]))}\n"


@pytest.mark.parametrize("data", [b"", b"\n", b"a:b\n"])
def test_what_cannot_be_a_token_is_refused_and_not_repeated(run, standard_input, data):
    standard_input(data)
    code, out, err = run("token", "--digest")
    assert (code, out) == (2, "")
    assert "a:b" not in err
