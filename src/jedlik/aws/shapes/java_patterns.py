r"""Patterns of the service models, which are Java's, as patterns of Python.

The differences that matter in models: classes of Unicode's categories (`\p{L}`), characters beyond the first 65,536 as
pairs of surrogates, a hyphen between a class and a character (`[\w-_]`), and that `\w` and `\d` mean ASCII.

Source: the documentation of java.util.regex.Pattern.
"""

from __future__ import annotations

import re
from functools import cache
from unicodedata import category

_PROPERTY = re.compile(r"\\p\{(\w+)\}")
_IN_CLASS = re.compile(r"(\[(?:[^\]\\]|\\.)*\])")
"""A class of characters; no class of the models contains another."""
_SURROGATES = re.compile(r"\\u(D[89AB][0-9A-F]{2})\\u(D[C-F][0-9A-F]{2})", re.IGNORECASE)
_CLASS_THEN_HYPHEN = re.compile(r"(\\[wds])-(?=[^\]])")
_LAST = 0x3FFFF
"""The last character that is looked up: later ones are in no category that models name."""
_CATEGORIES = re.findall("..", "CcCfCnCoCsLlLmLoLtLuMcMeMnNdNlNoPcPdPePfPiPoPsScSkSmSoZlZpZs")
_SIGNS = {name: chr(0x100 + number) for number, name in enumerate(_CATEGORIES)}
"""Unicode's categories, each with a character that stands for it."""
_POSIX = {"Print": r"\x20-\x7E", "ASCII": r"\x00-\x7F", "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9"}
"""Classes of ASCII that Java names like categories."""


_LINEAR = {
    r"^[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+$": r"(?=[^\n]{2})[a-z0-9A-Z][.\-\w]*+(?<=[a-z0-9A-Z])",
}
"""Patterns that can divide a text in many ways, each with one that matches the same and takes time in proportion to the
text: a client may send megabytes, which are checked before anybody knows what it is allowed to do."""


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern. Raises re.error for one that Python cannot express, which no supported operation may use."""
    pattern = _SURROGATES.sub(_astral, _LINEAR.get(pattern, pattern))
    parts = _IN_CLASS.split(pattern)
    for index, part in enumerate(parts):
        is_class = index % 2 == 1
        if is_class:
            part = _CLASS_THEN_HYPHEN.sub(r"\1\-", part)
        parts[index] = _PROPERTY.sub(_within if is_class else _alone, part)
    return re.compile("".join(parts), re.ASCII)


def _astral(pair: re.Match[str]) -> str:
    high, low = int(pair[1], 16), int(pair[2], 16)
    return f"\\U{0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00:08X}"


def _within(given: re.Match[str]) -> str:
    name = given[1]
    return _POSIX[name] if name in _POSIX else _ranges(name)


def _alone(given: re.Match[str]) -> str:
    return f"[{_within(given)}]"


@cache
def _ranges(name: str) -> str:
    """The characters of a category (`Zs`) or of a group of them (`Z`), as ranges."""
    signs = "".join(sign for category_, sign in _SIGNS.items() if category_.startswith(name))
    if not signs:
        raise re.error(f"there is no category {name}")
    runs = re.finditer(f"[{signs}]+", _signs())
    return "".join(f"\\U{run.start():08X}-\\U{run.end() - 1:08X}" for run in runs)


@cache
def _signs() -> str:
    """A character for the category of each character."""
    return "".join(map(_SIGNS.__getitem__, map(category, map(chr, range(_LAST + 1)))))
