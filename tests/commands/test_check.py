from __future__ import annotations

import json
import os

import pytest

from segmentstream_api.commands.check import check_schemas
from tests.commands.folder import CONFIGURATION


def report(run, *argv):
    code, out, _ = run("check", "--json", *argv)
    return code, json.loads(out)


def problems(found):
    return {each["name"]: each["problems"] for each in found["checks"] if each["problems"]}


def test_everything_is_named_and_ok(folder, run):
    code, out, err = run("check")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert [row[0] for row in rows[1:]] == [
        "configuration",
        "schemas",
        "shop",
        "store",
        "archive",
        "crm",
    ]
    assert {row[-1] for row in rows[1:]} == {"ok"}
    assert "2 destinations" in out
    assert "MB free" in out


def test_json_says_the_same(folder, run):
    code, found = report(run)
    assert (code, found["ok"], problems(found)) == (0, True, {})
    assert found["checks"][4] == {"name": "archive", "what": "destination, file", "problems": []}


def test_it_says_what_each_project_makes_of_event_types(folder, run):
    def told():
        return next(each["what"] for each in report(run)[1]["checks"] if each["name"] == "shop")

    assert told() == "project, event types: report; unknown events: allow"
    rules = 'event_types = "reject"\nunknown_events = "report"\nschemas = ["plan/*.json"]'
    (folder / "plan").mkdir()
    plan = {"title": "Signed", "properties": {"event": {"$ref": "part.json"}}}
    (folder / "plan" / "signed.json").write_text(json.dumps(plan))
    (folder / "plan" / "part.json").write_text("{}")
    folder.configure(CONFIGURATION.replace("[projects.shop]", f"[projects.shop]\n{rules}"))
    assert told() == "project, event types: reject, 1 type of its own; unknown events: report"


def test_it_makes_no_store_and_no_file(folder, run):
    assert run("check")[0] == 0
    assert [path.name for path in folder.path.iterdir()] == ["segmentstream.toml"]


def test_a_store_is_read_and_written(folder, run):
    folder.wait("a")
    assert run("check")[0] == 0
    database = folder / "segmentstream.db"
    data = bytearray(database.read_bytes())
    data[4096 * 3 :] = b"\xff" * (len(data) - 4096 * 3)
    database.write_bytes(data)
    code, found = report(run)
    assert code == 1
    assert list(problems(found)) == ["store"]


def test_a_store_that_is_gone_is_a_problem(folder, run):
    folder.wait("a")
    (folder / "segmentstream.db").unlink()
    code, out, _ = run("check")
    assert code == 1
    assert "is gone, though it was here before" in out


@pytest.mark.parametrize("used", [True, False], ids=["a used store", "no store yet"])
def test_too_little_space_is_a_problem(folder, run, used):
    if used:
        folder.wait("a")
    folder.configure(
        CONFIGURATION.replace("disk_floor_megabytes = 1", "disk_floor_megabytes = 1e9")
    )
    code, found = report(run)
    assert code == 1
    assert "under its floor of 1000000000 MB" in problems(found)["store"][0]


def test_a_folder_for_the_store_that_does_not_exist_is_a_problem(folder, run):
    folder.configure(CONFIGURATION.replace("[store]", '[store]\nurl = "sqlite:///nowhere/x.db"'))
    code, found = report(run)
    assert code == 1
    assert "nowhere" in problems(found)["store"][0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_this_user_may_not_write_is_a_problem(folder, run):
    (folder / "closed").mkdir(mode=0o500)
    folder.configure(CONFIGURATION.replace("[store]", '[store]\nurl = "sqlite:///closed/x.db"'))
    code, found = report(run)
    assert code == 1
    assert "may not write" in problems(found)["store"][0]


def test_a_configuration_with_problems_has_them_all_in_json_too(folder, run):
    folder.configure(
        CONFIGURATION.replace("events.jsonl", "nowhere/a").replace("crm.jsonl", "nowhere/b")
    )
    code, found = report(run)
    assert (code, found["ok"]) == (2, False)
    (configuration,) = found["checks"]
    assert configuration["name"] == "configuration"
    assert len(configuration["problems"]) == 2


def test_a_broken_schema_is_a_problem_by_its_name(tmp_path):
    (tmp_path / "good.json").write_text("{}")
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "bad.json").write_text('{"type": "colour"}')
    (tmp_path / "worse.json").write_text("{")
    found = check_schemas(tmp_path)
    assert [problem.split()[0] for problem in found.problems] == ["bad.json", "worse.json"]


def test_a_folder_without_schemas_is_a_problem(tmp_path):
    assert check_schemas(tmp_path).problems
