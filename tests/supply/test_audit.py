"""The audit of script/check: the true pip-audit, before a stand-in for osv.dev."""

from __future__ import annotations

import sys

import pytest

from script import audit
from tests.supply.advisories import JINJA, advisory, serving
from tests.system.service import CHECKOUT, free_port

OLD = advisory("urllib3", "PYSEC-2", "CVE-2", "1.26.5")


@pytest.fixture
def osv():
    with serving() as server:
        yield server


@pytest.fixture
def pins(tmp_path):
    """A file that pins a version with a hole and one without."""
    path = tmp_path / "constraints.txt"
    path.write_text("# pinned\nidna==3.20\nurllib3==1.26.4\n")
    return path


@pytest.fixture
def run(osv, pins, capsys):
    """The exit code of the audit, and what it said."""

    def run(url=None, **options):
        options = {"accepted": {}, "reach_seconds": 20, **options}
        code = audit.main(["--osv-url", url or osv.url, str(pins)], **options)
        return code, capsys.readouterr().out

    return run


def program(text):
    """In the place of pip-audit."""
    return {"pip_audit": [sys.executable, "-c", text]}


def test_a_vulnerable_version_fails_with_its_name_and_what_mends_it(run, osv):
    osv.known["urllib3", "1.26.4"] = [OLD]
    assert run() == (1, "audit: urllib3 1.26.4 has PYSEC-2, CVE-2; fixed in 1.26.5\n")


def test_every_pinned_version_is_asked_about(run, osv):
    assert run() == (0, "audit: no known vulnerability in 2 versions\n")
    assert sorted(osv.asked) == [("idna", "3.20"), JINJA, ("urllib3", "1.26.4")]


def test_every_version_of_the_constraints_is_pinned_in_a_way_that_it_reads(osv, capsys):
    assert audit.main(["--osv-url", osv.url], accepted={}) == 0
    assert f"in {len(audit.pinned(audit.CONSTRAINTS))} versions" in capsys.readouterr().out
    assert len(osv.asked) == len(audit.pinned(audit.CONSTRAINTS)) + 1


@pytest.mark.parametrize("name", ["PYSEC-2", "CVE-2"])
def test_one_that_is_accepted_by_id_or_alias_passes(run, osv, name):
    osv.known["urllib3", "1.26.4"] = [OLD]
    code, said = run(accepted={name: "we never follow a redirect"})
    assert (code, said) == (0, "audit: no known vulnerability in 2 versions but the 1 accepted\n")


def test_one_accepted_does_not_hide_another(run, osv):
    osv.known["urllib3", "1.26.4"] = [OLD, advisory("urllib3", "PYSEC-3", "CVE-3", "2.0.1")]
    code, said = run(accepted={"PYSEC-2": "we never follow a redirect"})
    assert (code, said) == (1, "audit: urllib3 1.26.4 has PYSEC-3, CVE-3; fixed in 2.0.1\n")


def test_what_is_accepted_without_need_fails(run):
    code, said = run(accepted={"PYSEC-2": "we never follow a redirect"})
    assert code == 1
    assert "PYSEC-2 is accepted in script/audit.py, but nothing pinned has it" in said


def test_what_is_accepted_has_a_reason():
    assert all(len(reason.split()) > 3 for reason in audit.ACCEPTED.values())


def test_without_a_service_it_is_skipped_and_says_why(run):
    url = f"http://127.0.0.1:{free_port()}/v1/query"
    code, said = run(url, **program("raise SystemExit('never started')"))
    assert code == 0
    assert said == (
        f"audit: skipped, the advisory service cannot be reached ({url}: ConnectionError)\n"
    )


def test_a_service_that_is_silent_is_not_waited_for(run, osv):
    osv.silent.clear()
    code, said = run(reach_seconds=0.2)
    assert code == 0
    assert "audit: skipped, the advisory service cannot be reached" in said


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_service_that_refuses_is_one_that_cannot_be_reached(run, osv, status):
    osv.answer = (status, b"not now")
    code, said = run()
    assert code == 0
    assert f"it answers {status})" in said


@pytest.mark.parametrize(
    "answer",
    [(200, b"{}"), (200, b'{"vulns": []}'), (200, b"<html>"), (200, b"[]"), (404, b""), (400, b"")],
)
def test_a_service_that_does_not_know_what_is_known_fails(run, osv, answer):
    osv.answer = answer
    code, said = run()
    assert code == 1
    assert "not that jinja2 2.4.1 is vulnerable" in said


def test_a_service_lost_on_the_way_is_one_that_cannot_be_reached(run, osv):
    osv.answer, osv.honest = (503, b""), 2
    code, said = run()
    assert code == 0
    assert "it answers 503)" in said


def test_answers_that_pip_audit_cannot_read_fail(run, osv):
    osv.known["idna", "3.20"] = [{"no": "id"}]
    code, said = run()
    assert code == 1
    assert "audit: failed, pip-audit ended with 1: " in said
    assert "KeyError" in said


@pytest.mark.parametrize(
    "text",
    ["raise SystemExit(0)", "raise SystemExit(1)", "1 / 0", "print('{}')", "print('[]')"],
)
def test_a_pip_audit_that_does_not_report_fails_whatever_its_exit_code(run, text):
    code, said = run(**program(text))
    assert code == 1
    assert "audit: failed, pip-audit ended with" in said


def test_a_pip_audit_that_leaves_a_version_out_fails(run):
    report = '{"dependencies": [{"name": "idna", "skip_reason": "?"}]}'
    code, said = run(**program(f"print({report!r})"))
    assert (code, said) == (1, "audit: failed, pip-audit looked at 0 of 2 versions\n")


def test_script_check_runs_it():
    assert " script.audit\n" in (CHECKOUT / "script" / "check").read_text("utf-8")
