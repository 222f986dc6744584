"""What a policy's text has and its value (`policy_documents`) has not: where its statements stand, and the names of its
condition keys as they are written.

Documents are those that the parser has accepted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from jedlik.aws.policies.wildcards import written_variables

_JSON = json.JSONDecoder()
_SPACE = " \t\r\n"


class Position(NamedTuple):
    """A place in a text, from 1."""

    line: int
    column: int


class Span(NamedTuple):
    """Where a statement stands, as IAM's simulator has it: from behind the bracket or the statement before it, to
    behind its own end. A single statement begins behind its own brace."""

    start: Position
    end: Position


def spans(document: str) -> tuple[Span, ...]:
    """Where each statement of a policy stands."""
    return tuple(Span(_position(document, start), _position(document, end)) for start, end in _statements(document))


def _position(text: str, at: int) -> Position:
    line_start = text.rfind("\n", 0, at) + 1
    return Position(text.count("\n", 0, at) + 1, at - line_start + 1)


def _statements(text: str) -> Iterator[tuple[int, int]]:
    """The first and last offsets of the statements."""
    at = _skip(text, 0, "{")
    while text[at] != "}":
        name, at = _JSON.raw_decode(text, at)
        at = _skip(text, at, ":")
        if name != "Statement":
            _, at = _JSON.raw_decode(text, at)
        elif text[at] == "{":
            _, end = _JSON.raw_decode(text, at)
            yield at + 1, end
            at = end
        else:
            start, at = at + 1, _skip(text, at, "[")
            while text[at] != "]":
                _, end = _JSON.raw_decode(text, at)
                yield start, end
                start, at = end, _skip(text, end, ",")
            at += 1
        at = _skip(text, at, ",")


def _skip(text: str, at: int, mark: str) -> int:
    """The place behind white space, and behind a mark if it is next."""
    while text[at] in _SPACE:
        at += 1
    if text[at] == mark:
        at += 1
        while text[at] in _SPACE:
            at += 1
    return at


def context_keys(*documents: str) -> tuple[str, ...]:
    """The condition keys that policies use in conditions and variables, each once, in the order of the texts."""
    found: dict[str, str] = {}
    for document in documents:
        policy = json.loads(document)
        has_variables = policy.get("Version") == "2012-10-17"
        statements = policy["Statement"]
        for statement in statements if isinstance(statements, list) else [statements]:
            for name in _of_statement(statement, has_variables):
                found.setdefault(name.lower(), name)
    return tuple(found.values())


def _of_statement(statement: dict[str, Any], has_variables: bool) -> Iterator[str]:
    for element in ("Resource", "NotResource"):
        for text in _texts(statement.get(element, [])):
            yield from written_variables(text) if has_variables else ()
    for keys in statement.get("Condition", {}).values():
        for key, values in keys.items():
            yield key
            for text in _texts(values):
                yield from written_variables(text) if has_variables else ()


def _texts(found: Any) -> list[str]:
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, str)]
