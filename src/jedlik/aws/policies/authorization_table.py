"""What policies can be about: the actions of each service, with their resources and condition keys.

It is data (`authorization_table.json`), of the services that are here: of each the forms of its resources' ARNs, its
condition keys with their types, and its actions, each with the kinds of resources that it is on (the required ones
first) and its condition keys. Every resource that has tags also has `aws:ResourceTag`, and every action the keys of
`global`. The condition keys of requests for items, the simulator and the tests of all declared operations go by it.
Actions and keys are the same in any case.

Left out are the keys of tokens of other issuers, whose names begin with the issuer, and of SAML. DynamoDB's bulk
operations are in no reference yet. The guide's policies for transactions use `dynamodb:EnclosingOperation` of
ConditionCheckItem, which the reference does not list.

Source: the service authorization reference, and "AWS global condition context keys" in the IAM user guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

import orjson

from jedlik.aws.policies.wildcards import arn_matcher

_GLOBAL = "global"
_IN_PART = "ec2"
"""Here are its actions for VPC endpoints, of several hundred."""
_PLACEHOLDER = re.compile(r"\$\{\w+\}")


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a service."""

    name: str
    """As the reference writes it, with the service: `dynamodb:GetItem`."""
    templates: tuple[str, ...]
    """The forms of the ARNs of its resources, the required ones first; none for an action on `*`."""
    keys: frozenset[str]
    """Its own condition keys; the global ones are not among them."""

    def template(self, arn: str) -> str | None:
        """The form that an ARN has; None if the action is not on such a resource. The form of the longest path wins:
        an index has that of a table, too."""
        found = [one for one in self.templates if _matches(one, arn)]
        return max(found, key=lambda one: one.count("/"), default=None)


@cache
def _pattern(template: str) -> str:
    return _PLACEHOLDER.sub("*", template)


def _matches(template: str, arn: str) -> bool:
    return arn_matcher(_pattern(template))(arn)


@cache
def _table() -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = orjson.loads(
        resources.files("jedlik.aws.policies").joinpath("authorization_table.json").read_bytes()
    )
    return found


@cache
def _actions() -> Mapping[str, Action]:
    found: dict[str, Action] = {}
    for service, parts in _table().items():
        forms = parts.get("resources", {})
        for name, about in parts.get("actions", {}).items():
            assert isinstance(about, dict)
            templates = tuple(str(forms[one]) for one in about.get("on", ()))
            full = f"{service}:{name}"
            found[full.lower()] = Action(full, templates, frozenset(about.get("keys", ())))
    return MappingProxyType(found)


def services() -> frozenset[str]:
    """The services whose actions are all known."""
    return frozenset(_table().keys() - {_GLOBAL, _IN_PART})


def action(name: str) -> Action | None:
    """An action by its name, with the service's; None for an unknown one."""
    return _actions().get(name.lower())


def actions_of(service: str) -> tuple[Action, ...]:
    """The actions of a service."""
    return tuple(one for name, one in _actions().items() if name.startswith(f"{service}:"))
