"""The source tree as tests see it: its modules, and which of them imports which."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "jedlik"


@cache
def modules() -> Mapping[str, ast.Module]:
    """Every module of Jedlik, parsed, by its name without `jedlik.`; a package goes by its own name."""
    return {_name(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def imports() -> Mapping[str, frozenset[str]]:
    """For each module, the modules of Jedlik that it imports anywhere, for types alone too."""
    return {name: frozenset(_imports(name)) for name in modules()}


def circles(graph: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """The circles of a graph: its strongly connected components of more than one node (Tarjan, 1972)."""
    found: list[list[str]] = []
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        path.append(node)
        for other in sorted(graph[node]):
            if other not in order:
                visit(other)
            if other in path:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == order[node]:
            circle = path[path.index(node) :]
            del path[path.index(node) :]
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return sorted(found)


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(importer: str) -> Iterator[str]:
    for node in ast.walk(modules()[importer]):
        if not isinstance(node, ast.ImportFrom) or node.module is None or node.module.split(".")[0] != "jedlik":
            continue
        package = node.module.removeprefix("jedlik").removeprefix(".")
        for name in node.names:
            module = f"{package}.{name.name}".removeprefix(".")
            imported = module if module in modules() else package
            if imported not in ("", importer):
                yield imported
