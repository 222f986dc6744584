"""Texts of policies with wildcards and variables, and what they match.

`*` stands for any characters and `?` for one. `${key}` stands for the value that a key has in a request, and `${key,
'default'}` for the default where it has none. A value is taken literally, whatever it holds: who may choose it must not
choose what it matches. A variable that has no value, or several, and no default, matches nothing. `${*}`, `${?}` and
`${$}` are these characters.

Patterns are compiled once. Matching takes time in proportion to the text: a pattern is cut at its stars, and the pieces
are looked for from left to right, each behind the last, so there is nothing to go back to.

Source: "IAM policy elements: Variables and tags" and "IAM JSON policy elements: Resource" in the IAM user guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

Values = Mapping[str, tuple[str, ...]]
"""The condition keys that a request has, by their names in small letters, with their values."""
Matches = Callable[[str], bool]

ARN_PARTS = 6
_VARIABLE = re.compile(r"\$\{([^{},]*)(?:,\s*'([^'{}]*)'\s*)?\}")
"""The spaces around a name are not left out here: with them, a long run of spaces could be divided in too many ways."""
_LITERAL = frozenset("*?$")
"""What stands for itself where it is the name of a variable."""


def nothing(text: str) -> bool:
    """What matches no text."""
    return False


def anything(text: str) -> bool:
    """What matches every text."""
    return True


@dataclass(frozen=True, slots=True)
class Variable:
    """A key whose value is put in."""

    key: str
    """In small letters."""
    default: str | None


@dataclass(frozen=True, slots=True)
class Template:
    """A text of a policy: pieces with wildcards, and variables between them."""

    text: str
    pieces: tuple[str | Variable, ...]
    """In texts, characters that stand for themselves are escaped by a NUL before them."""

    @property
    def keys(self) -> frozenset[str]:
        """The keys of its variables."""
        return frozenset(piece.key for piece in self.pieces if isinstance(piece, Variable))

    def pattern(self, values: Values) -> str | None:
        """The pattern for a request, escaped as `pieces` are; None where a variable has no value."""
        if len(self.pieces) == 1 and isinstance(self.pieces[0], str):
            return self.pieces[0]
        found: list[str] = []
        for piece in self.pieces:
            if isinstance(piece, str):
                found.append(piece)
                continue
            given = values.get(piece.key, ())
            value = given[0] if len(given) == 1 else (piece.default if not given else None)
            if value is None:
                return None
            found.append(escaped(value))
        return "".join(found)


ESCAPE = "\0"


def escaped(text: str) -> str:
    """A pattern that matches a text alone."""
    return re.sub(r"[*?:\0]", lambda found: ESCAPE + found[0], text)


def unescaped(pattern: str) -> str:
    """A pattern as a text."""
    return re.sub(r"\0(.)", r"\1", pattern, flags=re.DOTALL)


def template(text: str, has_variables: bool) -> Template:
    """A text of a policy, with its variables found if the policy has any."""
    pieces: list[str | Variable] = []
    plain = ""
    position = 0
    for found in _VARIABLE.finditer(text) if has_variables else ():
        plain += text[position : found.start()].replace(ESCAPE, ESCAPE + ESCAPE)
        position = found.end()
        name, default = found[1].strip(), found[2]
        if name in _LITERAL and default is None:
            plain += escaped(name)
            continue
        if plain:
            pieces.append(plain)
        plain = ""
        pieces.append(Variable(name.lower(), default))
    plain += text[position:].replace(ESCAPE, ESCAPE + ESCAPE)
    if plain or not pieces:
        pieces.append(plain)
    return Template(text, tuple(pieces))


def written_variables(text: str) -> tuple[str, ...]:
    """The names of the variables in a text, as they are written."""
    found = ((one[1].strip(), one[2]) for one in _VARIABLE.finditer(text))
    return tuple(name for name, default in found if default is not None or name not in _LITERAL)


@lru_cache(maxsize=4096)
def matcher(pattern: str) -> Matches:
    """What a pattern matches."""
    if pattern == "*":
        return anything
    if "*" not in pattern and "?" not in pattern:
        return unescaped(pattern).__eq__
    pieces = _split(pattern, "*")
    if len(pieces) == 1:
        whole = _piece(pieces[0])
        return lambda text: whole.fullmatch(text) is not None
    first, *middle, last = pieces
    head, tail = _piece(first), _piece(last)
    size = _size(last)
    inner = [_piece(piece) for piece in middle if piece]

    def matches(text: str) -> bool:
        found = head.match(text)
        if found is None:
            return False
        at, end = found.end(), len(text) - size
        if end < at or tail.fullmatch(text, end) is None:
            return False
        for piece in inner:
            found = piece.search(text, at, end)
            if found is None:
                return False
            at = found.end()
        return True

    return matches


def _split(pattern: str, separator: str, most: int = 0) -> list[str]:
    """The pieces of a pattern between separators that are not escaped."""
    # Odd elements are escaped NULs before a separator, which belong to the piece in front of them.
    cut = re.split(rf"(?<!\0)((?:\0\0)*){re.escape(separator)}", pattern, maxsplit=most)
    return [piece + "".join(cut[2 * at + 1 : 2 * at + 2]) for at, piece in enumerate(cut[::2])]


def _piece(pattern: str) -> re.Pattern[str]:
    """A pattern without stars, as a regular expression."""
    parts = re.findall(r"\0.|.", pattern, flags=re.DOTALL)
    return re.compile("".join("." if part == "?" else re.escape(part[-1]) for part in parts), re.DOTALL)


def _size(pattern: str) -> int:
    """Characters that a pattern without stars matches."""
    return len(re.findall(r"\0.|.", pattern, flags=re.DOTALL))


@lru_cache(maxsize=4096)
def arn_matcher(pattern: str) -> Matches:
    """What a pattern of an ARN matches: each of the six parts by itself. Parts that are left out match anything."""
    if pattern == "*":
        return anything
    parts = _split(pattern, ":", ARN_PARTS - 1)
    parts += ["*"] * (ARN_PARTS - len(parts))
    each = [matcher(part) for part in parts]

    def matches(text: str) -> bool:
        given = text.split(":", ARN_PARTS - 1)
        return len(given) == ARN_PARTS and all(test(part) for test, part in zip(each, given, strict=True))

    return matches


@lru_cache(maxsize=4096)
def arn_reacher(pattern: str) -> Matches:
    """Tests whether a pattern of an ARN matches any ARN that begins with a text, which has the first five parts."""
    if pattern == "*":
        return anything
    parts = _split(pattern, ":", ARN_PARTS - 1)
    parts += ["*"] * (ARN_PARTS - len(parts))
    each = [matcher(part) for part in parts[:-1]]
    first, *others = _split(parts[-1], "*")
    characters = re.findall(r"\0.|.", first, flags=re.DOTALL)

    def reaches(beginning: str) -> bool:
        *given, rest = beginning.split(":", ARN_PARTS - 1)
        if len(given) != len(each) or not all(test(part) for test, part in zip(each, given, strict=True)):
            return False
        if len(rest) > len(characters) and not others:
            return False
        # Behind a star may be anything, and behind the beginning, too. So only what stands in front of both counts.
        front = _piece("".join(characters[: len(rest)]))
        return front.fullmatch(rest[: len(characters)]) is not None

    return reaches
