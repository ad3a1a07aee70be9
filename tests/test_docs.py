from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.destinations.registry import OWN
from tests.settings_tables import PAGES, filled

ROOT = Path(__file__).parents[1]
DOCS = PAGES.parent
INDEX = DOCS / "destinations.md"
DECISIONS = (DOCS / "decisions.md").read_text("utf-8").split("\n### ")[1:]
COMMON = {"type", "events", "exclude_events", "rename", "concurrency"}


def page(type_name):
    return (PAGES / f"{type_name}.md").read_text("utf-8")


def test_every_type_has_a_page_and_every_page_a_type():
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted(OWN)


@pytest.mark.parametrize("type_name", OWN)
def test_the_index_names_the_type_as_configuration_and_integrations_do(type_name):
    line = f"| [`{type_name}`](destinations/{type_name}.md) | {OWN[type_name].display_name} |"
    assert line in INDEX.read_text("utf-8")


@pytest.mark.parametrize("type_name", OWN)
def test_a_page_explains_the_settings_of_its_type(type_name):
    assert f"<!-- settings: {type_name} -->\n|" in page(type_name)


@pytest.mark.parametrize("type_name", OWN)
def test_the_table_of_settings_is_as_the_schema_says(type_name):
    assert page(type_name) == filled(page(type_name)), "run script/docs"


@pytest.mark.parametrize("type_name", OWN)
def test_the_example_of_a_page_passes_the_schema(type_name):
    example = re.search(r"```toml\n(.*?)```", page(type_name), re.DOTALL)
    assert example is not None
    ((_name, settings),) = tomllib.loads(example[1])["destinations"].items()
    assert settings["type"] == type_name
    own = {name: value for name, value in settings.items() if name not in COMMON}
    Draft202012Validator(OWN[type_name].settings_schema).validate(own)


@pytest.mark.parametrize("entry", DECISIONS, ids=lambda entry: entry.partition("\n")[0])
def test_a_decision_has_a_date_and_a_reason(entry: str):
    assert re.match(r".+\n\n\d{4}-\d\d-\d\d\n\n- \*\*Decision:\*\* ", entry)
    assert "\n- **Because:** " in entry


def test_the_index_of_decisions_names_every_heading_in_order():
    text = (DOCS / "decisions.md").read_text("utf-8")
    index = re.findall(r"^ *- \[(.+)\]\(#\S+\)$", text.partition("<!-- end -->")[0], re.MULTILINE)
    assert index == re.findall(r"^###? (.+)$", text, re.MULTILINE)


def test_the_table_of_contents_names_every_page():
    linked = set(re.findall(r"\]\(([^)#]+\.md)\)", (DOCS / "README.md").read_text("utf-8")))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert pages - linked == {"README.md"}


def test_contributing_names_only_paths_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    paths = {name for name in re.findall(r"`([\w./-]+)`", text) if "/" in name or "." in name}
    folders = re.findall(r"^  (\w+/)  ", text, re.MULTILINE)
    assert len(paths) > 20
    missing = [path for path in paths if not (ROOT / path).exists()]
    missing += [name for name in folders if not (ROOT / "segmentstream_api" / name).is_dir()]
    assert missing == []


def test_a_table_is_made_between_its_marks_alone():
    text = "before\n<!-- settings: file -->\nold\n<!-- end -->\nafter\n"
    made = filled(text)
    assert made.startswith(
        "before\n<!-- settings: file -->\n| setting | what | default | meaning |"
    )
    assert "| `path` | path | required | The file to append to; its folder must exist. |\n" in made
    assert '| `mode` | text | `"0640"` | ' in made
    assert made.endswith("|\n<!-- end -->\nafter\n")
    assert filled(made) == made
