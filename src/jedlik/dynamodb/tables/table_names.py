"""Names of tables in requests: bare, or as part of an ARN.

Every operation accepts a table's ARN in place of its name. It must be the ARN of a table (not of an index or a stream),
of the region of the request, and of the caller's account.

Sources: "Naming rules" in the developer guide; the errors are DynamoDB's answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jedlik.aws.errors import AccessDeniedException, OtherAccount, ValidationException
from jedlik.aws.shapes.shape_rules import Accept, Rule, broken
from jedlik.regions.layout import is_account

_PATTERN = "[a-zA-Z0-9_.-]+"
_is_named_well = re.compile(_PATTERN).fullmatch
_SHORTEST = 3
_LONGEST = 255

_ARN_FORMAT = (
    "Valid ARN format is 'arn:<awsPartition>:<vendor>:<region>:<subscriber>:resourceType/resourceName', where "
    "Resource name must have length less than or equal to 255, Resource name must have length greater than or "
    f"equal to 3, Resource name must satisfy regular expression pattern: {_PATTERN}"
)


def arn(region: str, account: str, table: str) -> str:
    """The ARN of a table."""
    return f"arn:aws:dynamodb:{region}:{account}:table/{table}"


def resolve(name_or_arn: str, region: str, account: str) -> str:
    """The name of a table, from its name or ARN, in a request to a `region` of an `account`.

    Raises ValidationException for an ARN of another region, OtherAccount for one of another account.
    """
    if not name_or_arn.startswith("arn:"):
        return name_or_arn
    _, _, _, arn_region, arn_account, resource = name_or_arn.split(":", 5)
    check_account(arn_account, account)
    if arn_region != region:
        raise ValidationException(f"1 validation error detected: Invalid AWS region in '{name_or_arn}'", bare=True)
    return resource.partition("/")[2]


def check_is_arn(given: str, path: str) -> None:
    """Raise ValidationException for a bare name in a member, at a path into the request, that must be an ARN."""
    if not given.startswith("arn:"):
        fault = broken(f"'{given}'", path, _ARN_FORMAT)
        raise ValidationException(f"1 validation error detected: {fault}", bare=True)


def region_of(arn: str) -> str:
    """The region in the ARN of a table."""
    return arn.split(":", 5)[3]


def check_account(named: str, account: str) -> None:
    """Raise OtherAccount where an ARN names another account than that of the store, and AccessDeniedException where it
    can name no account."""
    if named != account:
        raise OtherAccount(named) if is_account(named) else AccessDeniedException("Access is denied")


def is_name(text: str) -> bool:
    """Whether a table may have this name."""
    return _SHORTEST <= len(text) <= _LONGEST and _is_named_well(text) is not None


def accepting(shortest: int) -> Accept:
    """Accepts the bare names of tables, of at least `shortest` characters: nearly all requests have one."""

    def accept(value: Any) -> bool:
        return type(value) is str and shortest <= len(value) <= _LONGEST and _is_named_well(value) is not None

    return accept


def constraint(shortest: int) -> Callable[[Any, str, list[str]], None]:
    """The constraint on a member that is a table's name or ARN. `shortest` is the length that a name must have."""

    def constrain(value: Any, path: str, errors: list[str]) -> None:
        if value.startswith("arn:"):
            text = _broken_by_arn(value)
            if text is not None:
                errors.append(broken(f"'{value}'", path, text))
            return
        # An operation that accepts a name of one character does not report the same fault of an empty name twice.
        if not _is_named_well(value) and (value or shortest > 1):
            text = f"Member must satisfy regular expression pattern: {_PATTERN}"
            errors.append(broken(f"'{value}'", path, text))
        if len(value) < shortest:
            text = f"Member must have length greater than or equal to {shortest}"
            errors.append(broken(f"'{value}'", path, text))
        if len(value) > _LONGEST:
            text = f"Member must have length less than or equal to {_LONGEST}"
            errors.append(broken(f"'{value}'", path, text))

    return constrain


def _broken_by_arn(value: str) -> str | None:
    parts = value.split(":", 5)
    kind, _, name = parts[-1].partition("/")
    if len(parts) < 6 or not name:
        return _ARN_FORMAT
    if kind != "table":
        return "Invalid resource type"
    if not is_name(name):
        return _ARN_FORMAT
    return None


def _unless_arn(holds: Callable[[str], Any]) -> Callable[[Any], bool]:
    return lambda value: bool(_broken_by_arn(value) is None if value.startswith("arn:") else holds(value))


NOT_EMPTY = Rule(lambda name: len(name) > 0, "Member must have length greater than or equal to 1")

KEY_RULES = (
    Rule(_unless_arn(_is_named_well), f"Member must satisfy regular expression pattern: {_PATTERN}"),
    Rule(_unless_arn(lambda name: len(name) >= _SHORTEST), "Member must have length greater than or equal to 3"),
    Rule(_unless_arn(lambda name: len(name) <= _LONGEST), "Member must have length less than or equal to 255"),
)
"""The constraint on the keys of a map that are tables' names or ARNs, such as RequestItems."""
