from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.declared import series_labels
from tests.promql import grouped_by, selectors

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "alerts.yml"
UNIT_TESTS = Path(__file__).with_name("alerts.test.yml")
SECTIONS = re.findall(
    r"^#### (\w+)$", (ROOT / "docs" / "operations.md").read_text("utf-8"), re.MULTILINE
)
RULES = [
    rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]
]


@pytest.fixture
def promtool():
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("needs promtool (the package prometheus)")

    def run(*arguments):
        done = subprocess.run(
            [path, *map(str, arguments)], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def test_the_rules_are_valid(promtool):
    promtool("check", "rules", ALERTS)


def test_each_alert_comes_when_it_should_and_only_then(promtool):
    promtool("test", "rules", UNIT_TESTS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_uses_only_metrics_and_labels_that_exist(rule):
    known = series_labels()
    found = selectors(rule["expr"])
    assert found
    for name, labels in found:
        assert name in known
        assert labels <= known[name]
    assert grouped_by(rule["expr"]) <= set.union(*(known[name] for name, _ in found))
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert shown <= grouped_by(rule["expr"])


def test_every_alert_is_explained_and_every_explanation_is_of_an_alert():
    assert [rule["alert"] for rule in RULES] == SECTIONS


def test_every_alert_has_its_unit_test():
    tested = re.findall(r"alertname: (\w+)", UNIT_TESTS.read_text("utf-8"))
    assert set(tested) == {rule["alert"] for rule in RULES}


def test_every_alert_says_how_urgent_it_is():
    assert {rule["labels"]["severity"] for rule in RULES} == {"critical", "warning"}
