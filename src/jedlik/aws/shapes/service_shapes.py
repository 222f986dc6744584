"""A service's departures from its published model, as one value for the compiler (`shapes`).

A model in botocore describes what clients may send; the service checks much the same, with exceptions that only its
answers show. Each service states its own; names are the model's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from jedlik.aws.shapes.shape_rules import NOT_NULL, Accept, Constrain, Rule, broken

Definitions = dict[str, dict[str, Any]]
"""The shapes of a model, by name."""
MOST_ERRORS = 10
"""The most faults in one refusal."""
_LONGEST_COLLECTION = 20_000
"""The most elements if neither the model nor the service has a limit."""


class Printer(Protocol):
    """Prints values as Java does, up to a limit (`echoes`)."""

    def text(self, name: str, value: Any, depth: int = 0) -> str:
        """A value of the shape called `name`."""
        ...

    def content(self, content: Any, element: str, depth: int) -> str:
        """A list or map of values of the shape called `element`, or a scalar."""
        ...

    def counted(self, text: str) -> str:
        """The text, which counts against the limit."""
        ...


ShowOpaque = Callable[[Printer, Any, int], str]
"""Shows an opaque value at a depth."""


class Members(NamedTuple):
    """The compiled form of a structure's members."""

    name: str
    """The name of the structure."""
    shapes: Definitions
    checks: dict[str, tuple[str, Constrain | None]]
    """By member: its name in errors, and its constraints."""
    required: frozenset[str]

    def constraint(self) -> Constrain:
        """The constraints on the members, one after the other."""
        checks, required = self.checks, self.required

        def constrain_members(value: Any, path: str, errors: list[str]) -> None:
            prefix = f"{path}." if path else ""
            for member, (label, constrain) in checks.items():
                given = value.get(member)
                if given is None:
                    if member in required:
                        errors.append(broken("null", prefix + label, NOT_NULL))
                elif constrain is not None:
                    constrain(given, prefix + label, errors)
                if len(errors) >= MOST_ERRORS:
                    return

        return constrain_members


class SpecialText(Protocol):
    """A shape of texts with a check that no model can express."""

    key_rules: tuple[Rule, ...]
    """The constraints if they are the keys of a map."""

    def checks(self, structure: str) -> tuple[Accept, Constrain]:
        """The functions that accept and constrain them if they are members of a structure."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServiceShapes:
    """A service's model and its departures from it. Compiled shapes are kept for each of these values."""

    service: str
    """As botocore calls it."""
    package: str = ""
    """The prefix of its structures' names in Java, with the dot at the end."""
    opaque: Mapping[str, ShowOpaque] = field(default_factory=dict)
    """Shapes that the service checks in a walk of its own, and how errors show them."""
    shapes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Shapes whose definition is replaced (by one with a type) or amended."""
    members: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """Constraints on a member of a structure beyond those of its shape."""
    enum_sets: Mapping[str, list[str]] = field(default_factory=dict)
    """Enumerations in the order in which the error message lists them."""
    first_members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Members that are checked before the others of their structure, which have the model's order."""
    inputs: Mapping[str, Callable[[Members], Constrain]] = field(default_factory=dict)
    """Structures whose members are checked in a way of their own."""
    texts: Mapping[str, SpecialText] = field(default_factory=dict)
    """Shapes of texts that are checked in a way of their own."""
    terse: frozenset[tuple[str, str]] = frozenset()
    """Members whose error names them as in the request and does not show the value."""
    shown_as_json: frozenset[str] = frozenset()
    """Shapes whose values errors show as their original JSON, and not as Java prints them."""
    hidden_members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Members of structures that the service has beyond those of its published model; errors show them as null."""
    longest_collection: int = _LONGEST_COLLECTION
    """Elements of a collection for which the model has no limit, unless they are opaque."""
