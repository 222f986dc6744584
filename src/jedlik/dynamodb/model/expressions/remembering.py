"""Remembers parsed and compiled expressions by their text: the most recently used ones, in bounded memory.

A tree with its closures takes some 200 bytes for each character of the text. So the limit is on characters and not on
the number of texts: a client that sends other long expressions every time gets no more memory than one with a thousand
short ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

CHARACTERS = 64 * 1024
"""The characters of all texts that a function remembers, and of the names that go with them."""
OVERHEAD = 32
"""Characters that a text counts for in addition to its own."""


def remembering(make: Callable[P, T]) -> Callable[P, T]:
    """A function that remembers its results for texts and tuples of texts, all given by position.

    Exceptions are not remembered.
    """
    made: dict[tuple[object, ...], T] = {}
    remembered = 0

    def recall(*args: P.args, **kwargs: P.kwargs) -> T:
        nonlocal remembered
        if args in made:
            # A dictionary keeps the order of insertion: a used entry moves to its end.
            result = made[args] = made.pop(args)
            return result
        result = make(*args, **kwargs)
        made[args] = result
        remembered += _weight(args)
        while remembered > CHARACTERS:
            oldest = next(iter(made))
            del made[oldest]
            remembered -= _weight(oldest)
        return result

    return recall


def _weight(args: tuple[object, ...]) -> int:
    total = OVERHEAD
    for arg in args:
        texts = arg if isinstance(arg, tuple) else (arg,)
        total += sum([len(text) for text in texts if isinstance(text, str)])
    return total
