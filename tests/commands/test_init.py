from __future__ import annotations

import os
import re
import shlex
import stat
import threading
import tomllib

import pytest

from segmentstream_api.cli import main
from segmentstream_api.config import load_settings
from segmentstream_api.destinations.registry import load_registry
from segmentstream_api.http.auth import token_digest


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(path, **environ):
    return load_settings(path, environ=environ, registry=load_registry())


def test_the_configuration_works_as_it_is(here, run):
    code, _, err = run("init")
    assert (code, err) == (0, "")
    made = settings(here / "segmentstream.toml")
    (project,) = made.projects
    assert (project.name, project.destinations) == ("default", ("archive",))
    (archive,) = made.destinations
    assert archive.cls.type_name == "file"
    assert archive.settings["path"] == str(here / "events.jsonl")


def test_the_token_is_shown_once_and_kept_beside_but_not_in_the_configuration(here, run):
    _, out, _ = run("init")
    token = (here / "segmentstream.token").read_text().strip()
    text = (here / "segmentstream.toml").read_text()
    assert len(token) == 32
    assert out.count(token) == 1
    assert token not in text
    assert settings(here / "segmentstream.toml").projects[0].tokens == (token_digest(token),)


def test_every_token_is_another_one(here, run):
    tokens = set()
    for name in ("a", "b", "c"):
        (here / name).mkdir()
        run("init", "--config", f"{name}/x.toml")
        tokens.add((here / name / "segmentstream.token").read_text())
    assert len(tokens) == 3


def test_both_files_are_for_their_owner_alone_whatever_the_umask(here, run):
    before = os.umask(0)
    try:
        run("init")
    finally:
        os.umask(before)
    for name in ("segmentstream.toml", "segmentstream.token"):
        assert stat.S_IMODE((here / name).stat().st_mode) == 0o600


def test_the_webhook_in_its_comments_works_without_the_comment_signs(here, run):
    run("init")
    path = here / "segmentstream.toml"
    head, webhook = path.read_text().split("# [destinations.crm]")
    head = head.replace('["archive"]', '["archive", "crm"]')
    path.write_text(head + re.sub("^# ", "", "# [destinations.crm]" + webhook, flags=re.MULTILINE))
    made = settings(path, CRM_WEBHOOK_SECRET="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert [each.cls.type_name for each in made.destinations] == ["file", "webhook"]


def test_the_project_may_have_another_name(here, run):
    assert run("init", "--project", "shop")[0] == 0
    assert list(tomllib.loads((here / "segmentstream.toml").read_text())["projects"]) == ["shop"]


@pytest.mark.parametrize("name", ["", "a b", "a\n", 'x"]\n[y', "-x", "a.b", "é"])
def test_a_name_that_the_configuration_could_not_hold_is_refused(here, run, name):
    code, _, err = run("init", f"--project={name}")
    assert code == 2
    assert "is no project name" in err
    assert not list(here.iterdir())


def test_an_existing_configuration_is_left_as_it_is(here, run):
    (here / "segmentstream.toml").write_text("mine")
    code, out, err = run("init")
    assert (code, out) == (2, "")
    assert err == "segmentstream-api: segmentstream.toml exists; it is left as it is\n"
    assert (here / "segmentstream.toml").read_text() == "mine"
    assert not (here / "segmentstream.token").exists()


def test_a_dangling_link_in_its_place_is_not_followed(here, run):
    (here / "segmentstream.toml").symlink_to(here / "elsewhere")
    assert run("init")[0] == 2
    assert not (here / "elsewhere").exists()


def test_the_token_of_another_configuration_in_the_folder_is_left_as_it_is(here, run):
    (here / "segmentstream.token").write_text("theirs")
    code, _, err = run("init")
    assert code == 2
    assert "segmentstream.token exists" in err
    assert (here / "segmentstream.token").read_text() == "theirs"
    assert not (here / "segmentstream.toml").exists()


def test_of_several_at_once_one_makes_it(here, capsys):
    codes = []
    threads = [threading.Thread(target=lambda: codes.append(main(["init"]))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [0] + [2] * 7
    token = (here / "segmentstream.token").read_text().strip()
    assert token_digest(token) in (here / "segmentstream.toml").read_text()


def test_a_folder_that_does_not_exist_is_a_sentence(here, run):
    code, _, err = run("init", "--config", "nowhere/x.toml")
    assert code == 2
    assert err == "segmentstream-api: nowhere/x.toml cannot be made: No such file or directory\n"


def test_it_says_how_to_go_on_with_another_configuration(here, run):
    (here / "my shop").mkdir()
    _, out, _ = run("init", "--config", "my shop/x.toml")
    command = out.rpartition("Next: ")[2]
    assert shlex.split(command) == ["segmentstream-api", "serve", "--config", "my shop/x.toml"]
