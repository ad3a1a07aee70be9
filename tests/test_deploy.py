"""The files of deploy/ agree with one another, with gunicorn.conf.py and with the contract."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from segmentstream_api.contract.schemas import load_schema
from segmentstream_api.http.body import MAX_BODY_BYTES
from segmentstream_api.sources.collect.source import Collect
from segmentstream_api.sources.segment.source import Segment

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
NGINX = (DEPLOY / "nginx.conf").read_text("utf-8")
SERVICE = (DEPLOY / "segmentstream-api.service").read_text("utf-8")
DELIVER = (DEPLOY / "segmentstream-api-deliver.service").read_text("utf-8")
SOCKET = (DEPLOY / "segmentstream-api.socket").read_text("utf-8")
GUNICORN = (ROOT / "gunicorn.conf.py").read_text("utf-8")  # running it would make folders
NGINX_ALONE = {"too_many_failures", "no_answer"}  # codes that the service itself never gives
OF_SDKS = {"too_many_requests"}  # what docs/sources.md names


def nginx(directive: str, context: str = NGINX) -> str:
    """The value of a directive that stands once outside of all locations."""
    (value,) = re.findall(rf"^ {{0,4}}{directive} ([^;]+);$", context, re.MULTILINE)
    return str(value)


def gunicorn(setting: str) -> int:
    """The number that a setting has unless the environment says otherwise."""
    (value,) = re.findall(rf'^{setting} = (?:whole_number\("\w+", )?(\d+)', GUNICORN, re.MULTILINE)
    return int(value)


def seconds(value: str) -> int:
    assert value.endswith("s")
    return int(value[:-1])


def unit(key: str, text: str = SERVICE) -> str:
    (value,) = re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)
    return str(value)


def problems() -> list[dict]:
    return [json.loads(text.replace("\\'", "'")) for text in re.findall(r"'(\{.*\})'", NGINX)]


def test_nginx_hangs_up_idle_connections_before_gunicorn_does():
    (upstream,) = re.findall(r"^upstream .*?^}", NGINX, re.MULTILINE | re.DOTALL)
    assert seconds(nginx("keepalive_timeout", upstream)) + 10 <= gunicorn("keepalive")


def test_nginx_waits_longer_than_a_restart_takes():
    assert seconds(nginx("proxy_read_timeout")) > gunicorn("graceful_timeout") + 10
    assert int(unit("TimeoutStopSec")) > gunicorn("graceful_timeout") + 5


def test_nginx_lets_no_larger_bodies_lines_and_headers_through_than_the_service_takes():
    assert nginx("client_max_body_size") == "64k"
    assert MAX_BODY_BYTES == 64 * 1024
    count, _, size = nginx("large_client_header_buffers").partition(" ")
    assert (int(count), size) == (4, "4k")
    assert gunicorn("limit_request_line") + len("\r\n") >= 4 * 1024
    assert gunicorn("limit_request_field_size") >= 4 * 1024


def test_what_decides_about_lost_and_doubled_events_is_said_and_not_left_to_defaults():
    assert nginx("proxy_request_buffering") == "on"
    assert nginx("proxy_next_upstream") == "off"
    assert NGINX.count("proxy_set_header X-Forwarded-For $remote_addr;") == 2
    assert "$proxy_add_x_forwarded_for" not in NGINX


def test_a_page_of_nginx_is_the_document_that_the_service_would_send():
    known = {example["code"]: example for example in load_schema("problem.json")["examples"]}
    found = {problem["code"] for problem in problems()}
    assert found - known.keys() == NGINX_ALONE | OF_SDKS
    for problem in problems():
        if "error" not in problem:  # SDKs get statuses of their own
            assert known.get(problem["code"], problem) == problem
        else:
            assert (problem["message"], problem["error"]) == (problem["detail"], problem["title"])


def test_nginx_takes_as_much_as_a_source_does():
    sizes = re.findall(r"^ {8}client_max_body_size (\d+)([km]);$", NGINX, re.MULTILINE)
    units = {"k": 1024, "m": 1024**2}
    limits = [Collect.body.max_bytes, Segment.body.max_bytes]
    assert [int(number) * units[unit] for number, unit in sizes] == limits


@pytest.mark.parametrize("code", sorted(NGINX_ALONE))
def test_the_contract_names_what_only_nginx_says(code):
    assert f"`{code}`" in (ROOT / "docs" / "contract.md").read_text("utf-8")


def test_nginx_and_systemd_mean_the_same_socket():
    first, _second = re.findall(r"^ListenStream=(.*)$", SOCKET, re.MULTILINE)
    assert f"server unix:{first};" in NGINX


def test_a_worker_may_open_all_the_files_that_its_connections_need():
    assert int(unit("LimitNOFILE")) > 2 * gunicorn("worker_connections")


def test_both_services_run_as_the_same_user_in_the_same_folder_with_the_same_rights():
    def hardening(text: str) -> list[str]:
        start = text.index("ProtectSystem=")
        return text[start : text.index("\n\n", start)].splitlines()

    assert hardening(SERVICE) == hardening(DELIVER)
    for key in ("User", "Group", "StateDirectory", "WorkingDirectory", "UMask", "EnvironmentFile"):
        assert unit(key, SERVICE) == unit(key, DELIVER)


def test_every_line_of_nginx_conf_is_explained():
    """A comment stands above each directive, or above the first of a group of the same kind."""
    plain = (
        "server {",
        "add_header ",
        "}",
        "location",
        "proxy_pass ",
        "internal",
        "return",
        "'",
    )
    explained = False
    for line in NGINX.splitlines():
        text = line.strip()
        if text.startswith("#"):
            explained = True
        elif not text:
            explained = False
        elif not text.startswith(plain):
            assert explained, line
