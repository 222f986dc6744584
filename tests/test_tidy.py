"""Style as a test, after TigerBeetle's `tidy.zig`. Each rule has a list of exceptions, which may only shrink."""

from __future__ import annotations

import ast
from collections import Counter

from testing.source_tree import PACKAGE, modules

LONGEST_MODULE = 450
"""Lines."""
MOST_PARAMETERS = 7

LONG_MODULES: set[str] = {"aws/sigv4.py"}
MANY_PARAMETERS: set[str] = {
    "dynamodb.items.pages.read",
    "dynamodb.model.indexes._keep_entry",
    "dynamodb.model.indexes.keep_entries",
    "dynamodb.model.writes._log",
    "dynamodb.model.writes.record",
}
REPEATED_NAMES: set[str] = {"answers", "changes", "conditions", "lexer", "operations", "paths"}

MAY_REPEAT = {"__init__", "errors", "keys", "service"}
"""Names that say enough with their folder's before them."""


def test_no_module_is_too_long() -> None:
    too_long = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if len(path.read_text().splitlines()) > LONGEST_MODULE
    }
    assert too_long == LONG_MODULES


def test_no_function_has_too_many_parameters() -> None:
    too_many = {
        f"{module}.{node.name}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _parameters(node) > MOST_PARAMETERS
    }
    assert too_many == MANY_PARAMETERS


def test_no_two_modules_have_the_same_name() -> None:
    names = Counter(path.stem for path in PACKAGE.rglob("*.py"))
    assert {name for name, count in names.items() if count > 1} - MAY_REPEAT == REPEATED_NAMES


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))
