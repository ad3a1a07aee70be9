from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.destinations.registry import OWN
from tests.settings_tables import PAGES, filled

INDEX = PAGES.parent / "destinations.md"
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
    assert page(type_name) == filled(page(type_name)), "script/docs renews it"


@pytest.mark.parametrize("type_name", OWN)
def test_the_example_of_a_page_passes_the_schema(type_name):
    example = re.search(r"```toml\n(.*?)```", page(type_name), re.DOTALL)
    assert example is not None
    ((_name, settings),) = tomllib.loads(example[1])["destinations"].items()
    assert settings["type"] == type_name
    own = {name: value for name, value in settings.items() if name not in COMMON}
    Draft202012Validator(OWN[type_name].settings_schema).validate(own)


@pytest.mark.parametrize("path", [INDEX, *sorted(PAGES.glob("*.md"))], ids=lambda path: path.stem)
def test_every_link_within_the_documentation_leads_somewhere(path: Path):
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text("utf-8")):
        if "://" in target:
            continue
        file, _, heading = target.partition("#")
        text = (path.parent / file if file else path).read_text("utf-8")
        headings = [
            re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
            for line in text.splitlines()
            if line.startswith("#")
        ]
        assert not heading or heading in headings, target


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
