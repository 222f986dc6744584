"""Finds the words and turns of phrase that make a sentence hard to read (`BANNED` in tests/test_tidy.py).

`python -m testing.plain_english` lists their places in the tree, `python -m testing.plain_english PATH...` those in
some files and folders.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from testing.source_tree import ROOT

FOLDERS = ("src", "tests", "testing", "torture", "fuzz", "bench", "reference", "docs")
WITHOUT = {"docs/reference/coverage.md", "testing/plain_english.py"}
"""The first is generated; the second quotes the words."""

_NO_PROSE = re.compile(r"^```.*?^```|``[^`]*``|`[^`]*`", re.DOTALL | re.MULTILINE)
"""Code, in Markdown and in docstrings."""


class Place(NamedTuple):
    line: int
    words: str


def places(path: Path, banned: re.Pattern[str]) -> list[Place]:
    """Where the prose of a file has banned words: documents, docstrings, comments and the names of tests."""
    found = []
    for line, text in _prose(path):
        prose = _NO_PROSE.sub(lambda code: "`" + "\n" * code[0].count("\n"), text)
        for match in banned.finditer(prose):
            start = match.start() + len(match[0]) - len(match[0].lstrip())
            found.append(Place(line + prose.count("\n", 0, start), " ".join(match[0].split())))
    return found


def in_tree(banned: re.Pattern[str]) -> dict[str, list[Place]]:
    """The places in each file that has any, by the file's path."""
    found = {path.relative_to(ROOT).as_posix(): places(path, banned) for path in sorted(_files())}
    return {path: there for path, there in found.items() if there}


def _files() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            is_ours = "node_modules" not in path.parts and path.relative_to(ROOT).as_posix() not in WITHOUT
            if is_ours and path.suffix in (".py", ".md"):
                yield path


def _prose(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a file, each with its first line's number. Comments on consecutive lines are one text."""
    text = path.read_text()
    if path.suffix == ".md":
        yield 1, text
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.removeprefix("test_").replace("_", " ")
    block: list[str] = []
    first = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        if block and token.start[0] != first + len(block):
            yield first, "\n".join(block)
            block = []
        if not block:
            first = token.start[0]
        block.append(token.string.removeprefix("#").strip())
    if block:
        yield first, "\n".join(block)


def main(arguments: list[str]) -> None:
    from tests.test_tidy import BANNED

    wanted = [Path(argument).resolve() for argument in arguments] or [ROOT]
    for path, there in in_tree(BANNED).items():
        if any((ROOT / path).is_relative_to(one) for one in wanted):
            for place in there:
                print(f"{path}:{place.line}: {place.words}")


if __name__ == "__main__":
    main(sys.argv[1:])
