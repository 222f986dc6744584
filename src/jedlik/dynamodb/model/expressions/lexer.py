"""Expression text cut into tokens, and the message of a syntax error.

Words begin with a letter; placeholders are # or : and at least one letter, digit or underscore. A character that can
begin no token is a token of its own, which no grammar takes, so it becomes a syntax error at its place. A syntax error
names the token that does not fit, and shows it between its neighbours as they are written.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from jedlik.dynamodb.model import limits
from jedlik.dynamodb.model.expressions.ast import InvalidExpression

WORD = "word"
NAME = "#name"
VALUE = ":value"
NUMBER = "number"
UNKNOWN = "unknown"
END = "<EOF>"

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<word>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<name>#[A-Za-z0-9_]+)"
    r"|(?P<value>:[A-Za-z0-9_]+)"
    r"|(?P<number>[0-9]+)"
    r"|(?P<symbol><>|<=|>=|[=<>()\[\].,+-])"
    r"|(?P<unknown>.)",
    re.DOTALL,
)
_KINDS = {"name": NAME, "value": VALUE, "number": NUMBER, "unknown": UNKNOWN}


class Token(NamedTuple):
    kind: str
    """WORD, NAME, VALUE, NUMBER, UNKNOWN or END; a keyword is its own kind, in capitals, and so is a symbol."""
    text: str
    start: int
    end: int


def tokens(text: str, keywords: frozenset[str], shows_size: bool = True) -> list[Token]:
    """The tokens of an expression, the last one END. Raises InvalidExpression if it is too long or empty.

    `shows_size` decides whether the refusal of one that is too long contains its length: that of an update does not.
    """
    size = len(text.encode())
    if size > limits.EXPRESSION_SIZE:
        told = f" expression size: {size}" if shows_size else ""
        raise InvalidExpression(f"Expression size has exceeded the maximum allowed size;{told}")
    found = []
    for match in _TOKEN.finditer(text):
        group = match.lastgroup
        if group == "space":
            continue
        token = match.group()
        if group == "word":
            kind = token.upper() if token.upper() in keywords else WORD
        elif group == "symbol":
            kind = token
        else:
            assert group is not None
            kind = _KINDS[group]
        found.append(Token(kind, token, match.start(), match.end()))
    if not found:
        raise InvalidExpression("The expression can not be empty;")
    end = found[-1].end
    found.append(Token(END, END, end, end))
    return found


def syntax_error(text: str, found: list[Token], position: int) -> InvalidExpression:
    """The refusal of the token at `position`."""
    token = found[position]
    before = found[max(position - 1, 0)]
    after = found[min(position + 1, len(found) - 1)]
    return InvalidExpression(f'Syntax error; token: "{token.text}", near: "{text[before.start : after.end]}"')
