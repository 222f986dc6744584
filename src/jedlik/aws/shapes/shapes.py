"""The service model's rules for a request, compiled into closures.

AWS checks the shape of a request in two passes, and so does this. First every member must have its type: the first that
has not is a SerializationException. Then every constraint is checked (required, length, range, pattern, enumeration),
and the faults are reported together, ten at most, in a ValidationException. Rules about more than one member belong to
the operation and come later. But nearly every request is valid, so a first walk, which makes no texts, only finds out
whether this one is.

A collection that is too long is cut to the part that its refusal shows, before either pass: nobody waits for a check of
a million elements that are refused for their number.

Each shape of the model becomes three functions: one for each pass and one for that first walk. An operation is compiled
at its first request, and the model is read then: most processes use few operations, and a server must start fast.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import islice
from sys import maxsize
from typing import Any, NamedTuple

from jedlik.aws.errors import SerializationException, ValidationException
from jedlik.aws.shapes import echoes, service_model
from jedlik.aws.shapes.service_model import ServiceModel
from jedlik.aws.shapes.service_shapes import MOST_ERRORS, Members, ServiceShapes
from jedlik.aws.shapes.shape_rules import (
    JSON_SCALARS,
    NOT_NULL,
    STRUCTURE_UNEXPECTED,
    TYPED_SCALARS,
    Accept,
    Constrain,
    Convert,
    Rule,
    Scalars,
    accepting,
    broken,
    first_broken,
    rules_of,
    terse,
    together,
    unshown,
    wrong_collection,
)

_MEMBERS_LOOKED_AT = 1000
"""Members of a structure. If there are more, the unknown ones are not dropped one by one."""


class Shape(NamedTuple):
    """A compiled shape."""

    convert: Convert
    accept: Accept
    rules: tuple[Rule, ...] = ()
    """Constraints on a value itself. The message depends on where the value stands."""
    inside: Constrain | None = None
    """Constraints on what it holds."""


def validator(operation: str, service: ServiceShapes, is_json: bool = True) -> Callable[[Any], dict[str, Any]]:
    """A function that checks the shape of an operation's request, whose values were JSON, or are typed as in the model.

    It takes the decoded body, which it may change, and returns it without null and unknown members. It raises
    SerializationException for a wrong type and ValidationException for broken constraints.
    """

    shape: Shape | None = None

    def validate(request: Any) -> dict[str, Any]:
        nonlocal shape
        if shape is None:  # Compiled at its first use.
            shape = input_shape(service, operation, is_json)
        if not shape.accept(request):
            convert, _, _, inside = shape
            if type(request) is not dict:
                raise SerializationException(STRUCTURE_UNEXPECTED)
            request = convert(request)
            errors: list[str] = []
            if inside is not None:
                inside(request, "", errors)
            if errors:
                raise _refusal(errors[:MOST_ERRORS])
        checked: dict[str, Any] = request
        return checked

    return validate


def _refusal(errors: list[str]) -> ValidationException:
    plural = "" if len(errors) == 1 else "s"
    return ValidationException(f"{len(errors)} validation error{plural} detected: {'; '.join(errors)}", bare=True)


@cache
def input_shape(service: ServiceShapes, operation: str, is_json: bool = True) -> Shape:
    """The compiled shape of an operation's request, whose values were JSON, or as typed as the model has them."""
    model = service_model.model(service)
    return _Compiler(service, model, JSON_SCALARS if is_json else TYPED_SCALARS).structure(
        model.operations[operation], nested=False
    )


# The compiler. `nested` means that a shape is in a list or a map and not in a structure: the errors differ.


class _Compiler:
    def __init__(self, service: ServiceShapes, model: ServiceModel, scalars: Scalars) -> None:
        self._service = service
        self._shapes = model.shapes
        self._scalars = scalars

    def shape(self, name: str, nested: bool) -> Shape:
        """Compile the shape called `name`."""
        definition = self._shapes[name]
        if name in self._service.opaque:
            return Shape(_as_given, _is_not_null)
        match definition["type"]:
            case "structure":
                return self.structure(name, nested)
            case "list":
                return self._list(name, nested)
            case "map":
                return self._map(name, nested)
            case scalar:
                rules = rules_of(definition)
                return Shape(self._scalars[scalar].convert, accepting(self._scalars, scalar, rules), rules)

    def structure(self, name: str, nested: bool) -> Shape:
        """Compile a structure."""
        definition = self._shapes[name]
        required = frozenset(definition.get("required", ()))
        converts: dict[str, Convert] = {}
        accepts: dict[str, Accept] = {}
        checks: dict[str, tuple[str, Constrain | None]] = {}
        for member, shape_name in definition["members"].items():
            convert, accept, constrain = self._member(name, member, shape_name)
            converts[member], accepts[member] = convert, accept
            if constrain is not None or member in required:
                checks[member] = (member[0].lower() + member[1:], constrain)
        java_type = f"class {self._service.package}{name}"

        def convert_structure(value: Any) -> Any:
            if type(value) is not dict:
                wrong_collection(value, "structure", java_type, nested)
            if len(value) > _MEMBERS_LOOKED_AT:
                value = {member: value[member] for member in converts if member in value}
            dropped = []
            for member, given in value.items():
                convert = converts.get(member)
                if given is None or convert is None:
                    dropped.append(member)
                else:
                    value[member] = convert(given)
            for member in dropped:
                del value[member]
            return value

        def accept_structure(value: Any) -> bool:
            if type(value) is not dict:
                return False
            for member, given in value.items():
                accept = accepts.get(member)
                if accept is None or not accept(given):
                    return False
            return value.keys() >= required

        members = Members(name, self._shapes, checks, required)
        special = self._service.inputs.get(name)
        if special is not None:
            return Shape(convert_structure, accept_structure, (), special(members))
        return Shape(convert_structure, accept_structure, (), members.constraint() if checks else None)

    def _member(self, structure: str, member: str, shape_name: str) -> tuple[Convert, Accept, Constrain | None]:
        """Compile a member of a structure."""
        convert, accept, rules, inside = self.shape(shape_name, nested=False)
        service, shapes = self._service, self._shapes
        text = service.texts.get(shape_name)
        if text is not None:
            return convert, *text.checks(structure)
        if (structure, member) in service.terse:
            return convert, accept, terse(rules, inside)
        more = service.members.get((structure, member))
        if more is not None:
            own = rules_of({**more, "type": shapes[shape_name]["type"]})
            rules += own
            accept = _accepting_more(accept, own)
        if not rules:
            return convert, accept, inside
        is_sensitive = shapes[shape_name].get("sensitive", False)

        def constrain(value: Any, path: str, errors: list[str]) -> None:
            for rule in rules:
                if not rule.holds(value):
                    if is_sensitive:
                        errors.append(unshown(path, rule.text))
                        continue
                    shown = echoes.shown(service, shapes, shape_name, value)
                    errors.append(broken(f"'{shown}'", path, rule.text))
            if inside is not None:
                inside(value, path, errors)

        return convert, accept, constrain

    def _list(self, name: str, nested: bool) -> Shape:
        definition = self._limited(name)
        kept = _kept(definition)
        java_type = echoes.java_type(self._service, self._shapes, name)
        element_name = definition["member"]["shape"]
        element = self.shape(element_name, nested=True)
        convert_element = element.convert

        def convert_list(value: Any) -> Any:
            if type(value) is not list:
                wrong_collection(value, "list", java_type, nested)
            if len(value) > kept:
                del value[kept:]
            if convert_element is not _as_given:
                for position, given in enumerate(value):
                    if given is not None:
                        value[position] = convert_element(given)
            return value

        rules = rules_of(definition)
        is_opaque = element_name in self._service.opaque

        def accept_list(value: Any) -> bool:
            if type(value) is not list or first_broken(rules, value) is not None:
                return False
            return is_opaque or all(map(element.accept, value))

        inside = self._elements(name, element_name, element, "Member must satisfy constraint")
        return Shape(convert_list, accept_list, rules, inside)

    def _limited(self, name: str) -> dict[str, Any]:
        """The definition of a collection, with a limit to its length unless its elements are opaque."""
        definition = self._shapes[name]
        element = definition["member" if definition["type"] == "list" else "value"]["shape"]
        if element in self._service.opaque:
            return definition
        return {"max": self._service.longest_collection} | definition

    def _map(self, name: str, nested: bool) -> Shape:
        definition = self._limited(name)
        kept = _kept(definition)
        java_type = echoes.java_type(self._service, self._shapes, name)
        key_name, value_name = definition["key"]["shape"], definition["value"]["shape"]
        element = self.shape(value_name, nested=True)
        convert_element = element.convert
        constrain_values = self._elements(name, value_name, element, "Map value must satisfy constraint")

        def convert_map(value: Any) -> Any:
            if type(value) is not dict:
                wrong_collection(value, "map", java_type, nested)
            if len(value) > kept:
                value = dict(islice(value.items(), kept))
            if convert_element is not _as_given:
                for key, given in value.items():
                    if given is not None:
                        value[key] = convert_element(given)
            return value

        rules = rules_of(definition)
        if value_name in self._service.opaque:
            # The names of attributes are checked with their values.
            return Shape(convert_map, lambda value: type(value) is dict and first_broken(rules, value) is None, rules)
        text = self._service.texts.get(key_name)
        key_rules = rules_of(self._shapes[key_name]) if text is None else text.key_rules
        accept_key = accepting(self._scalars, "string", key_rules)

        def accept_map(value: Any) -> bool:
            if type(value) is not dict or first_broken(rules, value) is not None:
                return False
            return all(map(accept_key, value)) and all(map(element.accept, value.values()))

        def constrain_map(value: Any, path: str, errors: list[str]) -> None:
            if any(first_broken(key_rules, key) is not None for key in value):
                text = f"Map keys must satisfy constraint: {together(key_rules)}"
                errors.append(broken(f"'{echoes.shown(self._service, self._shapes, name, value)}'", path, text))
            if constrain_values is not None:
                constrain_values(value, path, errors)

        return Shape(convert_map, accept_map, rules, constrain_map)

    def _elements(self, name: str, element_name: str, element: Shape, text: str) -> Constrain | None:
        """The constraints on the elements of a list or the values of a map.

        Faults of the elements themselves are reported once, for the whole collection; faults inside them, one by one.
        """
        if element_name in self._service.opaque:
            return None
        rules, inside = element.rules, element.inside
        is_structure = self._shapes[element_name]["type"] == "structure"
        all_rules = f"{text}: {together(rules or (_NOT_NULL,))}"

        def constrain(collection: Any, path: str, errors: list[str]) -> None:
            told = is_structure
            for key, value in enumerate(collection, 1) if type(collection) is list else collection.items():
                if not told and (value is None or first_broken(rules, value) is not None):
                    errors.append(
                        broken(f"'{echoes.shown(self._service, self._shapes, name, collection)}'", path, all_rules)
                    )
                    told = True
                if value is not None and inside is not None:
                    inside(value, f"{path}.{key}.member", errors)
                elif value is None and is_structure:
                    errors.append(broken("null", f"{path}.{key}.member", NOT_NULL))
                if len(errors) >= MOST_ERRORS:
                    return

        return constrain


def _kept(definition: dict[str, Any]) -> int:
    """How many elements of a collection are checked: enough to see that there are too many, and to show them."""
    most: int = definition.get("max", maxsize)
    return max(most + 1, echoes.ELEMENTS)


_NOT_NULL = Rule(lambda value: value is not None, NOT_NULL)


def _as_given(value: Any) -> Any:
    return value


def _is_not_null(value: Any) -> bool:
    return value is not None


def _accepting_more(accept: Accept, rules: tuple[Rule, ...]) -> Accept:
    """Accepts what `accept` does, unless it breaks a rule."""
    return lambda value: accept(value) and first_broken(rules, value) is None
