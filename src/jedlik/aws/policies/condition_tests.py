"""Conditions: the operators of the policy language, and when they hold.

An operator tests one value of a request against one value of the policy. Around it:

    no prefix      a key that has no value holds only for the negated operators; any value of the policy will do, and
                   where a request has several values, any of these
    ForAnyValue:   one value of the request passes; a key without a value holds for none
    ForAllValues:  every value of the request passes; a key without a value holds
    ...IfExists    a key without a value holds

A value passes a negated operator if no value of the policy is equal to it.

Source: "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context keys" in the IAM user
guide.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from jedlik.aws.policies.wildcards import Template, Values, arn_matcher, matcher, unescaped

Test = Callable[[str], bool]
"""Whether a value of a request passes, for one value of a policy."""

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?", re.ASCII)


def number(text: str) -> Decimal | None:
    """A number; None for what is not one."""
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


@lru_cache(maxsize=1024)
def date(text: str) -> float | None:
    """Seconds since the epoch of a date in ISO 8601, or of such seconds; None for what is neither."""
    if _NUMBER.fullmatch(text):
        return float(text)
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    zone = found[7] or "Z"
    try:
        year, month, day, hour, minute, second = [int(part or 0) for part in found.groups()[:6]]
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    if zone != "Z":
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        moment -= 60 * minutes * (1 if zone[0] == "+" else -1)
    return moment


@lru_cache(maxsize=1024)
def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A range of addresses; None for what is not one."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _binary(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


# Each makes the test of one value of a policy, which is given as a pattern (`wildcards`)


def _equals(pattern: str) -> Test:
    return unescaped(pattern).__eq__


def _equals_ignoring_case(pattern: str) -> Test:
    wanted = unescaped(pattern).casefold()
    return lambda value: value.casefold() == wanted


def _bool(pattern: str) -> Test:
    wanted = unescaped(pattern).lower()
    return lambda value: value.lower() == wanted


def _binary_equals(pattern: str) -> Test:
    wanted = _binary(unescaped(pattern))
    return lambda value: wanted is not None and _binary(value) == wanted


def _in_network(pattern: str) -> Test:
    wanted = network(unescaped(pattern))

    def test(value: str) -> bool:
        address = _address(value)
        return wanted is not None and address is not None and address in wanted

    return test


def _comparing(
    parsed: Callable[[str], Decimal | None] | Callable[[str], float | None], holds: Callable[[int], bool]
) -> Callable[[str], Test]:
    """The test of an order. `holds` is given -1, 0 or 1, as the request's value is less, equal or greater."""

    def make(pattern: str) -> Test:
        wanted = parsed(unescaped(pattern))

        def test(value: str) -> bool:
            given = parsed(value)
            return given is not None and wanted is not None and holds((given > wanted) - (given < wanted))

        return test

    return make


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator, without prefix and suffix."""

    make: Callable[[str], Test]
    is_negated: bool = False
    valid: Callable[[str], bool] = lambda text: True
    """Whether a policy's value, without variables, is of its type."""


def _is_number(text: str) -> bool:
    return number(text) is not None


def _is_date(text: str) -> bool:
    return date(text) is not None


def _is_network(text: str) -> bool:
    return network(text) is not None


_ORDERS: dict[str, tuple[Callable[[int], bool], bool]] = {
    "Equals": (lambda order: order == 0, False),
    "NotEquals": (lambda order: order == 0, True),
    "LessThan": (lambda order: order < 0, False),
    "LessThanEquals": (lambda order: order <= 0, False),
    "GreaterThan": (lambda order: order > 0, False),
    "GreaterThanEquals": (lambda order: order >= 0, False),
}

NULL = "Null"
OPERATORS: Mapping[str, Operator] = {
    "StringEquals": Operator(_equals),
    "StringNotEquals": Operator(_equals, True),
    "StringEqualsIgnoreCase": Operator(_equals_ignoring_case),
    "StringNotEqualsIgnoreCase": Operator(_equals_ignoring_case, True),
    "StringLike": Operator(matcher),
    "StringNotLike": Operator(matcher, True),
    **{
        f"Numeric{name}": Operator(_comparing(number, holds), is_negated, _is_number)
        for name, (holds, is_negated) in _ORDERS.items()
    },
    **{
        f"Date{name}": Operator(_comparing(date, holds), is_negated, _is_date)
        for name, (holds, is_negated) in _ORDERS.items()
    },
    "Bool": Operator(_bool),
    "BinaryEquals": Operator(_binary_equals),
    "IpAddress": Operator(_in_network, False, _is_network),
    "NotIpAddress": Operator(_in_network, True, _is_network),
    "ArnEquals": Operator(arn_matcher),
    "ArnLike": Operator(arn_matcher),
    "ArnNotEquals": Operator(arn_matcher, True),
    "ArnNotLike": Operator(arn_matcher, True),
    NULL: Operator(_bool),
}
"""By name. Policies may write them in any case."""
BY_SMALL_NAME = {name.lower(): name for name in OPERATORS}

ANY, ALL, SINGLE = "foranyvalue:", "forallvalues:", ""
PREFIXES = (ANY, ALL)
IF_EXISTS = "ifexists"


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key, with the values of the policy."""

    operator: str
    """A key of OPERATORS."""
    quantifier: str
    """ANY, ALL or SINGLE."""
    if_exists: bool
    key: str
    """In small letters."""
    values: tuple[Template, ...]

    @property
    def keys(self) -> frozenset[str]:
        """The keys that it depends on."""
        return frozenset((self.key,)).union(*(value.keys for value in self.values))


Holds = Callable[[Collection[str]], bool]
"""Whether a condition holds for the values of its key in a request."""


def split_operator(text: str) -> tuple[str, str, bool] | None:
    """The name, the quantifier, and whether it ends with IfExists, of an operator as policies write it; None if there
    is no such operator."""
    small = text.lower()
    quantifier = next((prefix for prefix in PREFIXES if small.startswith(prefix)), SINGLE)
    name = small.removeprefix(quantifier)
    if_exists = name.endswith(IF_EXISTS) and name != NULL.lower() + IF_EXISTS
    found = BY_SMALL_NAME.get(name.removesuffix(IF_EXISTS) if if_exists else name)
    if found is None or (found == NULL and quantifier != SINGLE):
        return None
    return found, quantifier, if_exists


def _of_set(wanted: frozenset[str], *, is_negated: bool, quantifier: str, if_exists: bool) -> Holds:
    """When StringEquals and StringNotEquals hold: the commonest, without a call for each value."""
    if quantifier == ALL:
        return wanted.isdisjoint if is_negated else wanted.issuperset
    if quantifier == ANY and is_negated:
        return lambda given: not wanted.issuperset(given) if given else if_exists
    if is_negated:
        return wanted.isdisjoint
    return lambda given: not wanted.isdisjoint(given) if given else if_exists


def compiled(condition: Condition, values: Values, denies: bool) -> Holds:
    """When a condition holds, of whose variables `values` has the values.

    A value of the policy whose variable has none is equal to nothing. So that nothing is allowed by it, a negated
    operator then holds only in a statement that `denies`.
    """
    patterns = [value.pattern(values) for value in condition.values]
    operator = OPERATORS[condition.operator]
    tests = [operator.make(pattern) for pattern in patterns if pattern is not None]
    if condition.operator == NULL:
        return lambda given: any(test("false" if given else "true") for test in tests)
    is_negated, if_exists, quantifier = operator.is_negated, condition.if_exists, condition.quantifier
    if is_negated and not denies and len(tests) < len(patterns):
        return lambda given: not given and (if_exists or quantifier != ANY)
    wanted: frozenset[str] | None = None
    if operator.make is _equals:
        wanted = frozenset(unescaped(pattern) for pattern in patterns if pattern is not None)

    def passes(value: str) -> bool:
        return any(test(value) for test in tests) is not is_negated

    if wanted is not None:
        return _of_set(wanted, is_negated=is_negated, quantifier=quantifier, if_exists=if_exists)
    if quantifier == ALL:
        return lambda given: all(map(passes, given))
    if quantifier == ANY:
        return lambda given: any(map(passes, given)) if given else if_exists
    if is_negated:
        return lambda given: all(map(passes, given))
    return lambda given: any(map(passes, given)) if given else if_exists
