"""Style as a test, after TigerBeetle's `tidy.zig`. Each rule has a list of exceptions, which may only shrink."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

from testing import plain_english
from testing.source_tree import PACKAGE, ROOT, modules

LONGEST_MODULE = 450
"""Lines."""
MOST_PARAMETERS = 7

LONG_MODULES: set[str] = set()
MANY_PARAMETERS: set[str] = {
    "dynamodb.items.pages.read",
}
REPEATED_NAMES: set[str] = set()

MAY_REPEAT = {"__init__", "errors", "keys", "service"}
"""Names that are clear together with their folder's."""

BANNED = re.compile(
    "|".join(
        (
            r"\b(?:tells?|telling|told)\b(?!(?:\s+\S+){0,4}\s+apart\b)",  # return, report, send, replicate
            r"(?<!AWS )(?<!documentation )(?<!does not )\b(?:says?|said|saying)\b",  # return, state, show
            r"\bso\s+many\b(?!\s+\w+\s+that\b)",  # name the number
            r"\bwho(?:m?so)?ever\b",  # name the caller, the client, the worker
            r"\b(?:by|of|from|to|for|with)\s+who\b",
            r"\banew\b",  # again
            r"\bwhat(?:ever)?\s+there\s+is\b",
            r"\bwhat\s+(?:becomes|comes|became|came)\s+of\b",
            r"(?:\A|[.!?]\s+)(?-i:Have)\s",  # "Have the disk sync" is "Sync"
            r"\b(?:have|has|having)\s+(?:the|a|an|its|it|every|each|all|them|their|his)\s+(?:\w+\s+)?"
            r"(?:done|made|written|sent|kept|copied|called|\w{3,}ed)\b",
            r"(?:\A|[.!?]\s+|\n\n)(?-i:Of)\s",  # a fragment
            r"\bnot\s+to\s+be\s+\w+(?:ed|ld|en)\b",  # who does not do it?
            r"\b(?:is|are|was|were)\s+none(?:'s)?\b",
            r"\belse\s+than\b",
            r"\bthere(?:of|upon|in)\b",
            r"\bwhere(?:of|upon|in)\b",
            r"\bin\s+the\s+making\b",
        )
    ),
    re.IGNORECASE,
)
"""Words and turns of phrase that plain English does without, some with what to write instead."""


def test_prose_is_plain() -> None:
    found = plain_english.in_tree(BANNED)
    assert {f"{path}:{place.line}": place.words for path, there in found.items() for place in there} == {}


def test_banned_words_are_found_where_people_read_them(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        '"""Of what there is, `tell` only."""\n'
        "# It is said twice. Whoever\n# reads it told two things apart.\n"
        "def test_it_tells() -> None:\n    x = 'anew'\n"
    )
    found = [place.words.lower() for place in plain_english.places(module, BANNED)]
    assert sorted(found) == ["of", "said", "tells", "what there is", "whoever"]


def test_no_module_is_too_long() -> None:
    too_long = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if len(path.read_text().splitlines()) > LONGEST_MODULE
    }
    assert too_long == LONG_MODULES


def test_every_module_and_folder_states_its_purpose() -> None:
    silent = {
        path.relative_to(ROOT).as_posix()
        for tree in (PACKAGE, ROOT / "testing", ROOT / "bench")
        for path in tree.rglob("*.py")
        if ast.get_docstring(ast.parse(path.read_text())) is None
    }
    assert silent == set()


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
