"""Tokens of PartiQL, each with the place in the text that DynamoDB's messages point at.

The lexical rules are those of the PartiQL specification (partiql.org, chapter 2) as DynamoDB applies them: keywords are
case-insensitive and reserved (an attribute called `key` or `date` must be quoted), identifiers are case-sensitive,
'text' is a string and "text" an identifier, both doubling their quote to contain it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from jedlik.dynamodb.model import numbers
from jedlik.dynamodb.model.partiql.errors import malformed

_WORDS = """
    absolute action add all allocate alter and any are as asc assertion at authorization avg bag begin between bit
    bit_length blob bool boolean by cascade cascaded case cast catalog char char_length character character_length
    check clob close coalesce collate collation column commit conflict connect connection constraint constraints
    continue convert corresponding count create cross current current_date current_time current_timestamp current_user
    cursor date date_add date_diff deallocate dec decimal declare default deferrable deferred delete desc describe
    descriptor diagnostics disconnect distinct do domain double drop else end escape except exception exec execute
    exists external extract false fetch first float for foreign found from full get global go goto grant group having
    identity immediate in index indicator initially inner input insensitive insert int integer intersect interval into
    is isolation join key language last left let level like limit list local lower match max min missing modified
    module names national natural nchar new next no not nothing null nullif numeric octet_length of old on only open
    option or order outer output overlaps pad partial pivot position precision prepare preserve primary prior
    privileges procedure public read real references relative remove restrict returning revoke right rollback rows
    schema scroll section select session session_user set sexp size smallint some space sql sqlcode sqlerror sqlstate
    string struct substring sum symbol system_user table temporary then time timestamp to transaction translate
    translation trim true tuple union unique unknown unpivot update upper usage user using value values varchar
    varying view when whenever where with work write zone
"""
KEYWORDS = frozenset(_WORDS.split())
"""Words that are no identifiers unless quoted: SQL-92's reserved words and PartiQL's own."""

INTEGER_MAX = 2**31 - 1
"""Exponents and scales of number literals are 32-bit signed integers."""

_TOKEN = re.compile(
    r"""
      (?P<space>[\t\n\v\f\r\ ]+ | --[^\n\r]* | /\*.*?\*/)
    | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | '(?P<string>[^']*(?:''[^']*)*)'
    | "(?P<quoted>[^"]*(?:""[^"]*)*)"
    | `(?P<ion>[^`]*)`
    | (?P<symbol><<|>>|<=|>=|<>|!=|\|\||[-+*%<>=(){}\[\],.:;?]|/(?!\*))
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A word, literal or sign of a statement."""

    kind: str
    """keyword, identifier, quoted, string, number, ion, symbol or end."""
    text: str
    """The meaning of its text: keywords in lower case, strings and quoted identifiers without their quotes."""
    line: int
    column: int
    """Both counted in characters from 1."""
    length: int

    @property
    def reserved(self) -> bool:
        """Whether it is a keyword or a symbol, and so may be a part of the grammar."""
        return self.kind in ("keyword", "symbol")

    @property
    def place(self) -> str:
        """Its place in the form of messages."""
        return f"{self.line}:{self.column}:{self.length}"


def tokens(text: str) -> list[Token]:
    """The tokens of `text`, the last one of kind `end`. Raises ValidationException."""
    found = []
    position = 0
    line = 1
    line_start = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise malformed()
        kind = match.lastgroup or ""
        start, position = match.span()
        if kind != "space":
            found.append(_token(kind, match[kind], line, start - line_start + 1, position - start))
        newlines = text.count("\n", start, position)
        if newlines:
            line += newlines
            line_start = text.rindex("\n", start, position) + 1
    found.append(Token("end", "", line, len(text) - line_start + 1, 0))
    return found


def _token(kind: str, text: str, line: int, column: int, length: int) -> Token:
    if kind == "word":
        word = text.lower()
        kind, text = ("keyword", word) if word in KEYWORDS else ("identifier", text)
    elif kind == "string":
        text = text.replace("''", "'")
    elif kind == "quoted":
        text = text.replace('""', '"')
    elif kind == "number":
        _check_exponent(text)
    elif text == "!=":
        text = "<>"
    return Token(kind, text, line, column, length)


def _check_exponent(text: str) -> None:
    """Raises ValidationException for a number whose exponent, or scale, is no 32-bit integer."""
    digits, marker, exponent = text.lower().partition("e")
    if not marker:
        return
    magnitude = numbers.whole_number(exponent.lstrip("+-"), INTEGER_MAX)
    if magnitude is None:
        raise malformed()
    fraction = len(digits.partition(".")[2])
    scale = fraction + magnitude if exponent[0] == "-" else fraction - magnitude
    if abs(scale) > INTEGER_MAX:
        raise malformed()
