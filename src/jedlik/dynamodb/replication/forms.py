"""Forms: the requirements of a JSON value, composed of a few parts, so that a message is declared as a table and
checked by it.

A form is a function of a value and the path to it, which raises Misshapen if the value does not have that form. Every
form is bounded: numbers have a range, texts a length, collections a count. So the size of a value that has its form is
bounded, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Form = Callable[[Any, str], None]
"""Checks a value; the path is its place, for the text of Misshapen."""


class Misshapen(Exception):
    """A value does not have its form. The text contains its place and the expected form, but never the value."""

    def __init__(self, path: str, wanted: str) -> None:
        super().__init__(f"{path or 'the message'} is not {wanted}")


def whole(least: int, most: int) -> Form:
    """A whole number."""

    def check(value: Any, path: str) -> None:
        if type(value) is not int or not least <= value <= most:
            raise Misshapen(path, f"a whole number from {least} to {most}")

    return check


def number(least: float, most: float) -> Form:
    """A number."""

    def check(value: Any, path: str) -> None:
        if type(value) not in (int, float) or not least <= value <= most:
            raise Misshapen(path, f"a number from {least:g} to {most:g}")

    return check


def text(longest: int, pattern: str = "", shortest: int = 0) -> Form:
    """A string of at most this many characters, which matches the pattern if there is one."""
    matches = re.compile(pattern, re.ASCII).fullmatch if pattern else None

    def check(value: Any, path: str) -> None:
        if type(value) is not str or not shortest <= len(value) <= longest:
            raise Misshapen(path, f"a string of {shortest} to {longest} characters")
        if matches is not None and matches(value) is None:
            raise Misshapen(path, f"a string like {pattern}")

    return check


def one_of(*options: Any) -> Form:
    """One of some strings or booleans."""

    def check(value: Any, path: str) -> None:
        if not any(type(value) is type(option) and value == option for option in options):
            raise Misshapen(path, f"one of {', '.join(map(str, options))}")

    return check


flag = one_of(True, False)
"""A boolean."""


def maybe(form: Form) -> Form:
    """Null, or what has the form."""

    def check(value: Any, path: str) -> None:
        if value is not None:
            form(value, path)

    return check


def each(form: Form, most: int, least: int = 0) -> Form:
    """A list of `least` to `most` elements, each of the form."""
    wanted = f"a list of {least} to {most} elements" if least else f"a list of at most {most} elements"

    def check(value: Any, path: str) -> None:
        if type(value) is not list or not least <= len(value) <= most:
            raise Misshapen(path, wanted)
        for position, element in enumerate(value):
            form(element, f"{path}[{position}]")

    return check


def exactly(*forms: Form) -> Form:
    """A list of this number of elements, each of its own form."""

    def check(value: Any, path: str) -> None:
        if type(value) is not list or len(value) != len(forms):
            raise Misshapen(path, f"a list of {len(forms)} elements")
        for position, (element, form) in enumerate(zip(value, forms, strict=True)):
            form(element, f"{path}[{position}]")

    return check


def mapping(name: Form, form: Form, most: int) -> Form:
    """An object of at most this many members, whose names and values have these forms."""

    def check(value: Any, path: str) -> None:
        if type(value) is not dict or len(value) > most:
            raise Misshapen(path, f"an object of at most {most} members")
        for member, content in value.items():
            name(member, f"a name in {path}")
            form(content, f"{path}.{member}")

    return check


def anything(value: Any, path: str) -> None:
    """What is checked elsewhere."""


def members(required: Mapping[str, Form], optional: Mapping[str, Form] | None = None) -> Form:
    """An object with these members, each of its form, perhaps with some of the others, and with no more."""
    known = {**required, **(optional or {})}

    def check(value: Any, path: str) -> None:
        if type(value) is not dict or not required.keys() <= value.keys() <= known.keys():
            raise Misshapen(path, f"an object with the members {', '.join(known)}")
        prefix = f"{path}." if path else ""
        for name, content in value.items():
            known[name](content, prefix + name)

    return check
