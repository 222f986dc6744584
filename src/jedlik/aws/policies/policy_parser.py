"""Parses policy documents, and refuses malformed ones in IAM's words and in its order.

Sources: "Grammar of the IAM JSON policy language" in the IAM user guide; the texts are what IAM answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from jedlik.aws.policies.condition_tests import NULL, OPERATORS, Condition, split_operator
from jedlik.aws.policies.policy_documents import ANYBODY, Kind, Policy, Principals, Statement
from jedlik.aws.policies.wildcards import ARN_PARTS, template

WITH_VARIABLES = "2012-10-17"
VERSIONS = ("2008-10-17", WITH_VARIABLES)
PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc", "*")

_TOP = {"Version", "Id", "Statement"}
_ELEMENTS = {
    *("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource"),
    *("Principal", "NotPrincipal", "Condition"),
}
_PRINCIPALS = {"AWS": "aws", "Service": "services", "Federated": "federated", "CanonicalUser": "canonical"}
_EXCLUDING = (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal"))
_MOST_STATEMENTS = 10_000
_is_vendor = re.compile(r"[A-Za-z0-9-]+|\*", re.ASCII).fullmatch
_is_sid = re.compile(r"[0-9A-Za-z]*", re.ASCII).fullmatch
_is_account_pattern = re.compile(r"[0-9]{12}|(?=[0-9*?]*[*?])[0-9*?]*|", re.ASCII).fullmatch
_IAM_PATHS = (
    *("user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/"),
    *("sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/"),
)
_is_principal = re.compile(
    r"\*|[0-9]{12}|arn:[a-z0-9-]+:(?:iam|sts)::[0-9]{12}:"
    r"(?:root|(?:user|role|federated-user|assumed-role)/[^*?]+)|A[A-Z]{3}[A-Z0-9]{12,124}",
    re.ASCII,
).fullmatch


class MalformedPolicy(Exception):
    """A document is not a policy. The message is IAM's."""


def parsed(document: str, kind: Kind = Kind.IDENTITY) -> Policy:
    """The policy in a document. Raises MalformedPolicy."""
    return checked(_json(document), kind)


def checked(found: Any, kind: Kind) -> Policy:
    """The policy that a document's JSON is. Raises MalformedPolicy."""
    statements = _structure(found)
    if kind is Kind.TRUST:
        _check_trust(statements)
    else:
        _check_principals(statements, kind)
        _check_resources(statements)
    for statement in statements:
        _check_actions(statement)
        _check_conditions(statement)
    _check_sids(statements, kind)
    if kind is Kind.IDENTITY and found.get("Version", VERSIONS[0]) != WITH_VARIABLES:
        raise MalformedPolicy(f"Policy document must be version {WITH_VARIABLES} or greater.")
    has_variables = found.get("Version") == WITH_VARIABLES
    made = tuple(_statement(statement, has_variables) for statement in statements)
    return Policy(made, has_variables, kind, found.get("Id", ""))


def _syntax() -> NoReturn:
    raise MalformedPolicy("Syntax errors in policy.")


def _json(document: str) -> Any:
    """A document's JSON, in which no object has a name twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            _syntax()
        return found

    def constant(name: str) -> NoReturn:
        _syntax()

    try:
        return json.loads(document, object_pairs_hook=once, parse_constant=constant)
    except (ValueError, RecursionError):
        _syntax()


def _structure(found: Any) -> list[dict[str, Any]]:
    """The statements of a document, whose elements are of their types."""
    if not isinstance(found, dict) or not found.keys() <= _TOP:
        _syntax()
    if found.get("Version", WITH_VARIABLES) not in VERSIONS or not isinstance(found.get("Id", ""), str):
        _syntax()
    statements = found.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not 0 < len(statements) <= _MOST_STATEMENTS:
        _syntax()
    for statement in statements:
        if not isinstance(statement, dict) or not statement.keys() <= _ELEMENTS:
            _syntax()
        if statement.get("Effect") not in ("Allow", "Deny") or not isinstance(statement.get("Sid", ""), str):
            _syntax()
        if any(one in statement and other in statement for one, other in _EXCLUDING):
            _syntax()
        for name in ("Action", "NotAction", "Resource", "NotResource"):
            _texts(statement.get(name, []))
        _check_shape_of_conditions(statement.get("Condition", {}))
    return statements


def _texts(found: Any) -> list[str]:
    """A text, or a list of texts."""
    texts = [found] if isinstance(found, str) else found
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        _syntax()
    return texts


def _values(found: Any) -> list[str]:
    """The values of a condition, as texts."""
    values = found if isinstance(found, list) else [found]
    texts: list[str] = []
    for value in values:
        match value:
            case bool():
                texts.append(str(value).lower())
            case str() | int() | float():
                try:
                    texts.append(str(value))
                except ValueError:  # An integer of more digits than Python prints.
                    _syntax()
            case _:
                _syntax()
    return texts


def _check_shape_of_conditions(found: Any) -> None:
    if not isinstance(found, dict):
        _syntax()
    for operator, keys in found.items():
        if not isinstance(keys, dict) or split_operator(operator) is None:
            _syntax()
        for values in keys.values():
            _values(values)


def _either(statement: Mapping[str, Any], name: str) -> list[str]:
    """The values of an element, or of the one that is its opposite."""
    return _texts(statement.get(name, statement.get(f"Not{name}", [])))


# Rules


def _check_principals(statements: list[dict[str, Any]], kind: Kind) -> None:
    for statement in statements:
        has_one = "Principal" in statement or "NotPrincipal" in statement
        if kind is Kind.IDENTITY and has_one:
            raise MalformedPolicy("Policy document should not specify a principal.")
        if kind is Kind.RESOURCE or kind is Kind.KEY:
            if not has_one:
                raise MalformedPolicy("Missing required field Principal")
            _check_named(statement)


def _check_named(statement: dict[str, Any]) -> None:
    """Raise unless the principals of a statement are of their forms."""
    given = statement.get("Principal", statement.get("NotPrincipal"))
    if given == ANYBODY:
        return
    if not isinstance(given, dict) or not given or not given.keys() <= _PRINCIPALS.keys():
        _syntax()
    for kind, names in given.items():
        if not _texts(names):
            _syntax()
        for name in _texts(names):
            if kind == "AWS" and not _is_principal(name):
                raise MalformedPolicy(f'Invalid principal in policy: "AWS":"{name}"')


def _check_trust(statements: list[dict[str, Any]]) -> None:
    for statement in statements:
        for name in ("Resource", "NotResource"):
            if name in statement:
                raise MalformedPolicy(f"Has prohibited field {name}")
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise MalformedPolicy("Missing required field Principal")
        if not _either(statement, "Action"):
            raise MalformedPolicy("Missing required field Action")
        _check_named(statement)
        for action in _either(statement, "Action"):
            if ":" in action and action.partition(":")[0].lower() not in ("sts", "*"):
                raise MalformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.")


def _check_resources(statements: list[dict[str, Any]]) -> None:
    for statement in statements:
        for resource in _either(statement, "Resource"):
            _check_partition(resource)
            if _is_cut_short(resource):
                raise MalformedPolicy("The policy failed legacy parsing")
    for statement in statements:
        if not _either(statement, "Action"):
            raise MalformedPolicy("Policy statement must contain actions.")
    for statement in statements:
        if not _either(statement, "Resource"):
            raise MalformedPolicy("Policy statement must contain resources.")
    for statement in statements:
        for resource in _either(statement, "Resource"):
            _check_resource(resource)


def _check_partition(resource: str) -> None:
    parts = resource.split(":")
    if len(parts) == 1 or parts[1] in PARTITIONS or (parts[0] == "arn" and _is_cut_short(resource)):
        return
    shown = ":".join(["arn", *parts[1:], *["*"] * (ARN_PARTS - len(parts))])
    raise MalformedPolicy(f'Partition "{parts[1]}" is not valid for resource "{shown}".')


def _is_cut_short(resource: str) -> bool:
    """Whether a resource looks like an ARN, and has too few parts."""
    parts = resource.split(":", ARN_PARTS - 1)
    known = len(parts) > 1 and (parts[1] in PARTITIONS or any(parts[1].startswith(one) for one in ("aws",)))
    return parts[0] == "arn" and known and 2 < len(parts) < ARN_PARTS and not (parts[1] not in PARTITIONS and parts[2])


def _check_resource(resource: str) -> None:
    parts = resource.split(":", ARN_PARTS - 1)
    if resource == "*":
        return
    if len(parts) == 1:
        raise MalformedPolicy(f'Resource {resource} must be in ARN format or "*".')
    vendor = parts[2] if len(parts) > 2 else ""
    if not vendor or any(wildcard in vendor for wildcard in "*?"):
        raise MalformedPolicy("Resource vendor must be fully qualified and cannot contain regexes.")
    account = parts[4]
    if account != "aws" and not _is_account_pattern(account):  # A variable is not one.
        raise MalformedPolicy("The policy failed legacy parsing")
    if vendor == "iam":
        if parts[3]:
            raise MalformedPolicy(f"IAM resource {resource} cannot contain region information.")
        path = parts[5]
        if not path.startswith(_IAM_PATHS) and "*" not in path and path != "root":
            raise MalformedPolicy(f'IAM resource path must either be "*" or start with {", ".join(_IAM_PATHS)}.')
    if vendor == "s3" and parts[3]:
        raise MalformedPolicy(f"Resource {resource} can not contain region information.")


def _check_actions(statement: dict[str, Any]) -> None:
    for action in _either(statement, "Action"):
        vendor, *rest = action.split(":")
        if action == "*":
            continue
        if not rest:
            raise MalformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        if len(rest) > 1:
            raise MalformedPolicy("Actions/Condition can contain only one colon.")
        if not _is_vendor(vendor):
            raise MalformedPolicy(f"Vendor {vendor} is not valid")


def _check_conditions(statement: dict[str, Any]) -> None:
    for operator, keys in statement.get("Condition", {}).items():
        split = split_operator(operator)
        assert split is not None
        name = split[0]
        for key, values in keys.items():
            for value in _values(values):
                if "$" not in value and not OPERATORS[name].valid(value):
                    raise MalformedPolicy("The policy failed legacy parsing")
                if name in (NULL, "Bool") and "$" not in value and value.lower() not in ("true", "false"):
                    _syntax()
            if ":" not in key:
                raise MalformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")


def _check_sids(statements: Iterable[dict[str, Any]], kind: Kind) -> None:
    sids = [statement["Sid"] for statement in statements if statement.get("Sid")]
    for sid in sids:
        if kind is not Kind.KEY and not _is_sid(sid):
            raise MalformedPolicy(
                "Statement IDs (SID) must be alpha-numeric. "
                "Check that your input satisfies the regular expression [0-9A-Za-z]*"
            )
    if len(set(sids)) != len(sids):
        raise MalformedPolicy("Statement IDs (SID) in a single policy must be unique.")


# Values


def _statement(found: dict[str, Any], has_variables: bool) -> Statement:
    return Statement(
        allows=found["Effect"] == "Allow",
        actions=tuple(template(action.lower(), False) for action in _either(found, "Action")),
        not_actions="NotAction" in found,
        resources=tuple(template(resource, has_variables) for resource in _either(found, "Resource")),
        not_resources="NotResource" in found,
        principals=_principals(found.get("Principal", found.get("NotPrincipal"))),
        not_principals="NotPrincipal" in found,
        conditions=tuple(_conditions(found.get("Condition", {}), has_variables)),
        sid=found.get("Sid", ""),
    )


def _principals(found: Any) -> Principals | None:
    if found is None:
        return None
    if found == ANYBODY:
        return Principals(aws=frozenset((ANYBODY,)))
    return Principals(**{_PRINCIPALS[kind]: frozenset(_texts(names)) for kind, names in found.items()})


def _conditions(found: dict[str, dict[str, Any]], has_variables: bool) -> Iterable[Condition]:
    for text, keys in found.items():
        split = split_operator(text)
        assert split is not None
        operator, quantifier, if_exists = split
        for key, values in keys.items():
            made = tuple(template(value, has_variables) for value in _values(values))
            yield Condition(operator, quantifier, if_exists, key.lower(), made)
