from __future__ import annotations

import json
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from tests.declared import declared, series_labels
from tests.promql import grouped_by, selectors

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text("utf-8"))
PANELS = DASHBOARD["panels"]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]
COLUMNS = 24


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_uses_only_metrics_and_labels_that_exist(expression):
    known = series_labels()
    found = selectors(expression)
    assert found
    for name, labels in found:
        assert name in known
        assert labels <= known[name]
    assert grouped_by(expression) <= set.union(*(known[name] for name, _ in found))


def test_every_metric_is_shown():
    shown = {name for expression in EXPRESSIONS for name, _ in selectors(expression)}
    for name, (kind, _) in declared().items():
        names = {f"{name}_bucket", f"{name}_sum"} if kind == "histogram" else {name}
        assert names & shown, name


def test_the_expressions_are_promql(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool (the package prometheus)")
    times = {"$__rate_interval": "5m", "$__range": "6h"}
    rules = []
    for number, text in enumerate(EXPRESSIONS):
        expression = text
        for variable, value in times.items():
            expression = expression.replace(variable, value)
        rules.append({"record": f"expression_{number}", "expr": expression})
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")
    done = subprocess.run(
        [promtool, "check", "rules", path], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_variables_are_asked_of_metrics_that_exist():
    known = series_labels()
    for name in ("instance", "destination"):
        query = VARIABLES[name]["query"]["query"]
        metric, label = query.removeprefix("label_values(").removesuffix(")").split(", ")
        assert label == name
        assert label in known[metric]


def test_every_variable_that_is_used_is_there():
    text = json.dumps(PANELS)
    for name in VARIABLES:
        assert f"${name}" in text or f"${{{name}}}" in text
    used = {name for expression in EXPRESSIONS for name in VARIABLES if f"${name}" in expression}
    assert used == {"instance", "destination"}


def test_panels_have_their_own_ids_and_places():
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
    for one, other in combinations((panel["gridPos"] for panel in PANELS), 2):
        aside = one["x"] >= other["x"] + other["w"] or other["x"] >= one["x"] + one["w"]
        below = one["y"] >= other["y"] + other["h"] or other["y"] >= one["y"] + one["h"]
        assert aside or below


def test_every_panel_says_where_its_data_come_from():
    for panel in PANELS:
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
