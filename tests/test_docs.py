"""The documents: their links lead somewhere, and what they list is all that there is to list."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from testing.source_tree import ROOT

DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix() for path in chain(ROOT.glob("*.md"), (ROOT / "docs").rglob("*.md"))
)
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")


def text(document: Path) -> str:
    """A document without its blocks of code."""
    return FENCE.sub("", document.read_text())


def anchors(markdown: str) -> list[str]:
    """What leads to the headings of a document, as the places that show Markdown make it of them."""
    headings = re.findall(r"^#+ (.*)$", markdown, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_a_file_and_a_heading(document: str) -> None:
    here = ROOT / document
    lost = []
    for path, anchor in LINK.findall(text(here)):
        there = (here.parent / path).resolve() if path else here
        if not there.exists() or (anchor and anchor not in anchors(text(there))):
            lost.append(f"{path}#{anchor}")
    assert lost == []


def test_every_decision_is_listed_once() -> None:
    [decisions] = re.findall(
        r"^## Decisions$(.*?)^## ", text(ROOT / "docs" / "architecture.md"), re.DOTALL | re.MULTILINE
    )
    listed, _, _ = decisions.partition("\n### ")
    assert sorted(anchor for _, anchor in LINK.findall(listed)) == sorted(anchors(decisions))
