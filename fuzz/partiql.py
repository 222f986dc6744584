"""PartiQL statements, written from their vocabulary or from any text, and executed alone, in batches and in
transactions.

What must hold: see `fuzz.service`.
"""

from __future__ import annotations

from typing import Any

from fuzz.choices import Choices
from fuzz.definitions import stocked
from fuzz.expressions import VALUES, written

SERVICE = stocked()
WORDS = (
    *("SELECT", "FROM", "WHERE", "INSERT INTO", "VALUE", "UPDATE", "SET", "REMOVE", "DELETE FROM", "RETURNING"),
    *("ALL OLD *", "ALL NEW *", "MODIFIED OLD *", "MODIFIED NEW *", "ORDER BY", "DESC", "ASC", "EXISTS", "AND", "OR"),
    *("NOT", "IN", "BETWEEN", "IS", "MISSING", "NULL", "TRUE", "FALSE", "LIKE", "UNION", "LIMIT", "AS", "DISTINCT"),
    *("Music", '"Music"', '"Music"."global"', "Music.local", "Plain"),
    *("*", "?", "(", ")", "[", "]", "{", "}", "<<", ">>", ",", ".", ":"),
    *("=", "<>", "!=", "<", "<=", ">", ">=", "+", "-", "||", "'", '"', "`", "--", "/*", ";", "0", "-1.5e3"),
    *("1e999", "'x'", "''", "'it''s'", "p", "n", "k", "g", "a", "a[0]", "a[2].b", "e.f", '"a"."b"', "1e-130"),
    *("0" * 5000, "1e" + "0" * 5000 + "1", "1.5e-" + "0" * 5000 + "2147483647"),
    *("size(", "begins_with(", "contains(", "attribute_type(", "set_add(", "set_delete(", "list_append(", "é", "\x00"),
)
PHRASES = (
    "SELECT * FROM Music WHERE p = 'x' AND n = 1",
    "SELECT a, e.f FROM Music.\"global\" WHERE g = 'g' AND h = -2.5",
    "SELECT * FROM Music WHERE p IN ['x', ?] ORDER BY n DESC",
    "INSERT INTO Music VALUE {'p': 'y', 'n': 1, 'a': [1, <<'x', 'y'>>, {'b': TRUE}], 's': ?}",
    "UPDATE Music SET a = list_append(a, [?]) SET e.f = e.f + 1 REMOVE b WHERE p = 'x' AND n = 1 RETURNING ALL NEW *",
    "UPDATE Music SET b = set_add(b, <<'q'>>) WHERE p = 'x' AND n = 1 AND contains(b, ?) RETURNING MODIFIED OLD *",
    "DELETE FROM Plain WHERE k = ? RETURNING ALL OLD *",
    "EXISTS(SELECT * FROM Music WHERE p = 'x' AND n = 1 AND a IS MISSING)",
    "((",
    "NOT NOT NOT",
    "[[",
    "{'a':",
    "<<'a',",
    f"SELECT * FROM Music WHERE p = 'x' AND n = 1e{'0' * 5000}1",
)


def _statement(choices: Choices) -> dict[str, Any]:
    statement: dict[str, Any] = {"Statement": written(choices, WORDS, PHRASES)}
    parameters = [choices.one_of(VALUES).copy() for _ in range(choices.below(4))]
    return {**statement, "Parameters": parameters} if parameters else statement


def attempt(data: bytes) -> None:
    """One statement, or up to three in a batch or a transaction."""
    SERVICE.reset()
    choices = Choices(data)
    match choices.below(6):
        case 4:
            statements = [_statement(choices) for _ in range(choices.below(3) + 1)]
            SERVICE.ask("BatchExecuteStatement", Statements=statements)
        case 5:
            statements = [_statement(choices) for _ in range(choices.below(3) + 1)]
            SERVICE.ask("ExecuteTransaction", TransactStatements=statements)
        case _:
            request = _statement(choices)
            for _ in range(choices.below(3)):
                answer = SERVICE.ask("ExecuteStatement", **request, Limit=1)
                if "NextToken" not in answer:
                    break
                request["NextToken"] = choices.text() if choices.below(4) == 1 else answer["NextToken"]


SEEDS = [
    bytes((how, *((0,) if how > 3 else ()), 1, 0, phrase, 0, parameters, *(0,) * parameters, 2))
    for how in (0, 4, 5)
    for phrase in range(len(PHRASES))
    for parameters in (0, 1)
]
