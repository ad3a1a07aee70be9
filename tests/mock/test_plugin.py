from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from segmentstream_api.http.auth import token_digest
from tests.mock.project import FILES, Project
from tests.supply.distribution import Distribution, environment
from tests.system.service import CHECKOUT


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, distribution: Distribution) -> Path:
    """That of an environment with the wheel and with pytest, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    return environment(folder, distribution.wheel, "pytest", "pytest-xdist") / "python"


@pytest.fixture
def project(tmp_path: Path, python: Path) -> Project:
    return Project(tmp_path, python)


def a_test(lines: str) -> str:
    """A test file with one test of the page's tracker."""
    body = textwrap.indent(textwrap.dedent(lines), "    ")
    return f"import pytest\nfrom tracker import track\n\n\ndef test_it(tracking_api):{body}"


def test_the_page_shows_a_tracker_and_a_test_of_less_than_fifteen_lines():
    assert list(FILES) == ["tracker.py", "test_tracker.py"]
    assert len([line for line in FILES["test_tracker.py"].splitlines() if line.strip()]) < 15


def test_another_project_tests_its_tracker_as_the_page_says(project: Project):
    code, said = project.pytest("-q", "-W", "error")
    assert code == 0, said
    assert "2 passed" in said


def test_it_uses_the_wheel_and_nothing_of_the_checkout(project: Project, python: Path):
    project.write(
        "test_tracker.py",
        "import importlib.metadata, sys, segmentstream_api\n\n\ndef test_it(tracking_api):\n"
        "    (found,) = importlib.metadata.distributions(name='segmentstream-api')\n"
        "    assert found.locate_file('segmentstream_api/__init__.py').is_relative_to(sys.prefix)\n"
        "    assert segmentstream_api.__file__.startswith(sys.prefix)\n"
        f"    assert not [each for each in sys.path if each.startswith({str(CHECKOUT)!r})]\n",
    )
    code, said = project.pytest("-q")
    assert code == 0, said


def test_every_test_finds_the_server_empty(project: Project):
    once = a_test(
        """
        assert (tracking_api.accepted, tracking_api.rejected) == ([], [])
        event = {"user": {"userId": "u-1"}}
        track(tracking_api.url, tracking_api.token, event)
        with pytest.raises(OSError):
            track(tracking_api.url, "another token", event)
        assert (len(tracking_api.accepted), len(tracking_api.rejected)) == (1, 1)
        """
    )
    project.write("test_tracker.py", once)
    project.write("test_another.py", once)
    code, said = project.pytest("-q")
    assert code == 0, said
    assert "2 passed" in said


def test_several_processes_of_tests_have_a_server_each(project: Project):
    code, said = project.pytest("-q", "-n", "2")
    assert code == 0, said


def test_what_was_sent_is_told_against_what_was_expected(project: Project):
    project.write(
        "test_tracker.py",
        a_test(
            """
            event = {"name": "Product Added", "price": "10", "user": {"userId": "u-1"}}
            track(tracking_api.url, tracking_api.token, event)
            with pytest.raises(OSError):
                track(tracking_api.url, tracking_api.token, {"name": "Product Added"})
            tracking_api.assert_accepted("Product Added", "u-1", price=10, timeout_seconds=0.2)
            """
        ),
    )
    code, said = project.pytest()
    assert code == 1, said
    assert "no accepted event is as expected; waited 0.2 s" in said
    assert 'price: expected 10, was "10"' in said
    assert "POST /track: 400 invalid_event" in said
    assert "/event/user: userId or anonymousId is required" in said
    assert 'it was sent {"event": {"name": "Product Added"}}' in said


def test_the_fixture_takes_the_configuration_that_pytests_names(project: Project):
    project.write(
        "service.toml",
        f'[projects.shop]\ntokens = ["{token_digest("abc123")}"]\ndestinations = ["crm"]\n'
        '[destinations.crm]\ntype = "webhook"\nsecret = "${NOT_SET}"\n',
    )
    project.write("pytest.ini", "[pytest]\nsegmentstream_config = service.toml\n")
    project.write(
        "test_tracker.py",
        a_test(
            """
            for token in ("abc123", tracking_api.token):
                track(tracking_api.url, token, {"user": {"userId": "u-1"}})
            assert [each["project"] for each in tracking_api.accepted] == ["shop", "shop"]
            """
        ),
    )
    code, said = project.pytest("-q")
    assert code == 0, said


def test_a_configuration_that_cannot_be_used_is_told(project: Project):
    project.write("pytest.ini", "[pytest]\nsegmentstream_config = service.toml\n")
    code, said = project.pytest("-q")
    assert code == 1
    assert "service.toml is not usable" in said


def test_the_plugin_loads_nothing_of_the_service():
    script = "import segmentstream_api.mock.plugin, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=CHECKOUT
    )
    loaded = [name for name in done.stdout.split() if name.startswith("segmentstream_api.")]
    assert sorted(loaded) == [
        "segmentstream_api.mock",
        "segmentstream_api.mock.client",
        "segmentstream_api.mock.comparison",
        "segmentstream_api.mock.plugin",
    ]
    assert not {"falcon", "gunicorn", "jsonschema", "requests"} & set(done.stdout.split())
