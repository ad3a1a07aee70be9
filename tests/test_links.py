"""Every relative link in a Markdown file of the repository leads to a file and a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith((".", "build")) for part in path.relative_to(ROOT).parts)
)


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """What a heading is linked by: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", without_code(path.read_text("utf-8")), re.MULTILINE)
    titles = [re.sub(r"\]\([^)]*\)", "", heading) for heading in headings]
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(path: Path) -> list[str]:
    """The relative links of the file that lead nowhere."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text("utf-8"))):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        if "://" in link or link.startswith("mailto:"):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


def test_the_files_of_the_repository_are_found():
    assert {"README.md", "docs/operations.md", "benchmarks/README.md"} <= {
        path.relative_to(ROOT).as_posix() for path in FILES
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(path: Path):
    assert broken(path) == []


@pytest.mark.parametrize("link", ["missing.md", "#missing", "page.md#missing", "missing/"])
def test_a_broken_link_is_found(tmp_path: Path, link: str):
    page = tmp_path / "page.md"
    page.write_text(f"# A page: its `title`\n[good](#a-page-its-title) and [bad]({link})\n")
    assert broken(page) == [link]
