"""SimulateCustomPolicy, SimulatePrincipalPolicy, and which condition keys policies need a value for.

One result for each action and kind of resources, with a result for each resource in it. What a request would bring and
is not given has no value here; what is known of the caller has.

Source: the API reference; the texts of errors that have become known are IAM's.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.policies import authorization_table, document_texts
from jedlik.aws.policies.condition_tests import date, network, number
from jedlik.aws.policies.document_texts import Position
from jedlik.aws.policies.evaluation import Asking, Identity
from jedlik.aws.policies.policy_documents import Kind as PolicyKind
from jedlik.aws.policies.simulation import Matched, Outcome, Simulation, Sourced, most_restrictive
from jedlik.aws.policies.wildcards import Values, arn_matcher
from jedlik.aws.principals import ROLE_SESSION, Principal
from jedlik.aws.principals import USER as A_USER
from jedlik.iam.entities import Request
from jedlik.iam.errors import InvalidInputException
from jedlik.iam.identity_rows import GROUP, ROLE, USER
from jedlik.iam.identity_stores import AccountIdentity
from jedlik.iam.listings import after, marker
from jedlik.iam.simulated_sources import Entity, Exclusions, entity, entity_parts, given, held, managed
from jedlik.iam.subjects import values_of

USUAL_RESULTS = 100
MOST_DECISIONS = 2000
"""Decisions of one page, unless one result has more."""
MOST_RESOURCES = 1000
SESSION_NAME = "simulation"
"""The name of the session in which a role is simulated."""

_is_action = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+", re.ASCII).fullmatch
_is_owner = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}):root", re.ASCII).fullmatch
_VPC = ("instance", "image", "security-group", "network-interface")
_SCENARIOS = {
    "EC2-VPC-InstanceStore": _VPC,
    "EC2-VPC-InstanceStore-Subnet": (*_VPC, "subnet"),
    "EC2-VPC-EBS": (*_VPC, "volume"),
    "EC2-VPC-EBS-Subnet": (*_VPC, "subnet", "volume"),
}
"""The resources that each ResourceHandlingOption needs."""


# Context


def _is_binary(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


_IS_OF_TYPE: Mapping[str, Callable[[str], bool]] = {
    "string": lambda text: True,
    "numeric": lambda text: number(text) is not None,
    "boolean": lambda text: text.lower() in ("true", "false"),
    "ip": lambda text: network(text) is not None,
    "binary": _is_binary,
    "date": lambda text: date(text) is not None,
}


def context_of(entries: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The condition keys of ContextEntries, by their names in small letters. Raises InvalidInputException."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        name, values, kind = (entry.get(f"ContextKey{part}") for part in ("Name", "Values", "Type"))
        if not name or not kind or ":" not in name:
            raise InvalidInputException("A context entry must have a ContextKeyName and a ContextKeyType.")
        values = values or []
        plain = kind.removesuffix("List")
        if plain == kind and len(values) > 1:
            raise InvalidInputException(f"The context key {name} of type {kind} cannot have more than one value.")
        for value in values:
            if not _IS_OF_TYPE[plain](value):
                raise InvalidInputException(f"The value {value} of the context key {name} is not of type {plain}.")
        if name.lower() in found:
            raise InvalidInputException(f"The context key {name} is given more than once.")
        found[name.lower()] = tuple(values)
    return found


# Who asks


def _asking(account: AccountIdentity, arn: str, known: Entity | None) -> Identity:
    """Who asks, by its ARN, with what is known of it if it is there; a role in a session of its own."""
    kind, owner, name = entity_parts(arn)
    row = {} if known is None else known.row
    unique_id = row.get(kind.id, "")
    if kind is ROLE:
        session = f"arn:aws:sts::{owner}:assumed-role/{name}/{SESSION_NAME}"
        principal = Principal(ROLE_SESSION, session, f"{unique_id}:{SESSION_NAME}", unique_id)
        asking, role_arn, role_id = Asking.ROLE_SESSION, arn, unique_id or None
    else:
        principal = Principal(A_USER, arn, unique_id, unique_id)
        asking, role_arn, role_id = Asking.USER, None, None
    values = values_of(owner, principal, row) | {"aws:principalarn": (arn,)}
    if kind is not USER or not unique_id:
        values.pop("aws:userid", None)
    if kind is GROUP:
        values = {"aws:principalarn": (arn,), "aws:principalaccount": (owner,)}
    elif kind is USER:
        values["aws:username"] = (name,)
    return Identity(owner, principal.arn, asking, principal.unique_id, role_arn, role_id, values=values)


def _caller(account: AccountIdentity, request: Request, source: tuple[str, Entity] | None) -> Identity:
    """The simulated caller: CallerArn, or whose policies are simulated, or nobody in particular."""
    arn = request.get("CallerArn")
    if arn is None:
        if source is None:
            if "ResourcePolicy" in request:
                raise InvalidInputException("Invalid caller - Caller cannot be null or empty.")
            nobody = {"aws:principalaccount": (account.account,)}
            return Identity(account.account, "", values=nobody)
        return _asking(account, *source)
    if source is not None and arn == source[0]:
        return _asking(account, *source)
    kind, owner, name = entity_parts(arn)
    row = account.row(kind.key(name)) if owner == account.account else None
    is_it = row is not None and kind.arn(owner, row) == arn
    return _asking(account, arn, Entity(kind, row) if row is not None and is_it else None)


# The simulation


def _simulation(
    account: AccountIdentity,
    request: Request,
    source: tuple[str, Entity] | None,
    policies: tuple[Sourced, ...],
    boundary: Sourced | None,
) -> Simulation:
    """The simulation of a request, of these policies and those that it brings. Raises InvalidInputException."""
    _check_scenario(request)
    brought = given("PermissionsBoundaryPolicyInputList", request.get("PermissionsBoundaryPolicyInputList", ()))
    if len(brought) > 1:
        raise InvalidInputException("Only one permissions boundary policy can be simulated.")
    of_resource = given(
        "ResourcePolicy", [request["ResourcePolicy"]] if "ResourcePolicy" in request else [], PolicyKind.RESOURCE
    )
    owner = None
    if "ResourceOwner" in request:
        found = _is_owner(request["ResourceOwner"])
        if found is None:
            raise InvalidInputException(f"'{request['ResourceOwner']}' is not a valid as a Resource Owner.")
        owner = found[1]
    caller = _caller(account, request, source)
    levels = request.get("OrderedOrganizationPolicyInputList", ())
    controls = tuple(
        given("ServiceControlPolicyInputList", level.get("ServiceControlPolicyInputList", ())) for level in levels
    )
    values: Values = {**caller.values, **context_of(request.get("ContextEntries", ()))}
    return Simulation(
        identity=Identity(
            caller.account, caller.arn, caller.kind, caller.unique_id, caller.role_arn, caller.role_id, values=values
        ),
        policies=(*policies, *given("PolicyInputList", request.get("PolicyInputList", ()))),
        boundary=brought[0] if brought else boundary,
        resource_policy=Sourced("ResourcePolicy", of_resource[0].document, of_resource[0].policy)
        if of_resource
        else None,
        owner=owner,
        controls=controls,
    )


def _check_scenario(request: Request) -> None:
    option = request.get("ResourceHandlingOption")
    if option is None:
        return
    if option not in _SCENARIOS:
        raise InvalidInputException(f"{option} is not a valid ResourceHandlingOption.")
    for kind in _SCENARIOS[option]:
        if not any(arn_matcher(f"arn:*:ec2:*:*:{kind}/*")(arn) for arn in request.get("ResourceArns", ())):
            raise InvalidInputException(f"{option} needs a resource of the type {kind}.")


def _actions(request: Request) -> list[str]:
    """The actions of a request. Raises InvalidInputException for other names."""
    for name in request["ActionNames"]:
        service = name.partition(":")[0].lower()
        is_unknown = service in authorization_table.services() and authorization_table.action(name) is None
        if not _is_action(name) or is_unknown:
            raise InvalidInputException(f"ActionNames are not valid: {name}.")
    return list(dict.fromkeys(request["ActionNames"]))


def _resources(request: Request, simulation: Simulation) -> list[str]:
    """The resources of a request, `*` if it has none. Raises InvalidInputException for what is not an ARN."""
    resources = list(dict.fromkeys(request.get("ResourceArns") or ["*"]))
    if len(resources) > MOST_RESOURCES:
        raise InvalidInputException(f"ResourceArns cannot have more than {MOST_RESOURCES} resources.")
    for arn in resources:
        if arn != "*" and (not arn.startswith("arn:") or arn.count(":") < 5):
            raise InvalidInputException(f"ResourceNames are not in a valid ARN format: {arn}.")
    policy = simulation.resource_policy
    if policy is not None:
        for arn in resources:
            patterns = chain.from_iterable(one.resources for one in policy.policy.statements if not one.not_resources)
            texts = [one.pattern(simulation.identity.values) for one in patterns]
            if texts and not any(text is not None and arn_matcher(text)(arn) for text in texts):
                raise InvalidInputException(f"The resource policy does not apply to the resource {arn}.")
    return resources


def _grouped(actions: list[str], resources: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    """The results of a simulation: an action, the form of its resources' ARNs, and the resources."""
    for name in actions:
        if resources == ["*"]:
            yield name, "*", []
            continue
        action = authorization_table.action(name)
        groups: dict[str, list[str]] = {}
        for arn in resources:
            template = None if action is None else action.template(arn)
            groups.setdefault(template or "*", []).append(arn)
        for template, arns in groups.items():
            yield name, template, arns


async def _simulated(request: Request, simulation: Simulation) -> dict[str, Any]:
    """A page of the results of a simulation."""
    actions, resources = _actions(request), _resources(request, simulation)
    last = after(request)
    if not (last == "" or last.isdecimal()):
        raise InvalidInputException(f"Invalid Marker: {request['Marker']}")
    start, most = int(last or 0), request.get("MaxItems", USUAL_RESULTS)
    missing = simulation.missing()
    found: list[dict[str, Any]] = []
    decisions = 0
    for place, (name, template, arns) in enumerate(_grouped(actions, resources)):
        if place < start:
            continue
        if len(found) >= most or (found and decisions + len(arns) > MOST_DECISIONS):
            return {"EvaluationResults": found, "IsTruncated": True, "Marker": marker(str(place))}
        decisions += max(len(arns), 1)
        outcomes = []
        for arn in arns or ["*"]:
            outcomes.append(simulation.outcome(name, arn))
            await asyncio.sleep(0)
        found.append(_result(name, template, arns, outcomes, missing))
    return {"EvaluationResults": found, "IsTruncated": False}


# How results are shown


def _result(
    name: str, template: str, arns: list[str], outcomes: list[Outcome], missing: tuple[str, ...]
) -> dict[str, Any]:
    verdict = most_restrictive(one.verdict for one in outcomes)
    contributing = (one.matched for one in outcomes if one.verdict is verdict)
    together = dict.fromkeys(chain.from_iterable(contributing))
    found: dict[str, Any] = {
        "EvalActionName": name,
        "EvalResourceName": template,
        "EvalDecision": verdict.value,
        "MatchedStatements": [_statement(one) for one in together],
        "MissingContextValues": list(missing),
    }
    boundaries = [one.allowed_by_boundary for one in outcomes if one.allowed_by_boundary is not None]
    if boundaries:
        found["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": all(boundaries)}
    organization = [one.allowed_by_organization for one in outcomes if one.allowed_by_organization is not None]
    if organization:
        found["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": all(organization)}
    if arns:
        found["EvalDecisionDetails"] = _details(outcomes)
        found["ResourceSpecificResults"] = [
            _of_resource(arn, outcome, missing) for arn, outcome in zip(arns, outcomes, strict=True)
        ]
    return found


def _details(outcomes: list[Outcome]) -> dict[str, str] | None:
    """What each kind of policy decides over all resources; None where service control policies refuse one."""
    each = [one.by_kind for one in outcomes if one.by_kind is not None]
    if len(each) < len(outcomes):
        return None
    kinds = dict.fromkeys(chain.from_iterable(each))
    return {kind: most_restrictive(one[kind] for one in each if kind in one).value for kind in kinds}


def _of_resource(arn: str, outcome: Outcome, missing: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "EvalResourceName": arn,
        "EvalResourceDecision": outcome.verdict.value,
        "MatchedStatements": [_statement(one) for one in outcome.matched],
        "MissingContextValues": list(missing),
    }
    if outcome.by_kind:
        found["EvalDecisionDetails"] = {kind: verdict.value for kind, verdict in outcome.by_kind.items()}
    if outcome.allowed_by_boundary is not None:
        found["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": outcome.allowed_by_boundary}
    return found


def _statement(matched: Matched) -> dict[str, Any]:
    def shown(position: Position) -> dict[str, int]:
        return {"Line": position.line, "Column": position.column}

    return {
        "SourcePolicyId": matched.source,
        "SourcePolicyType": matched.kind,
        "StartPosition": shown(matched.span.start),
        "EndPosition": shown(matched.span.end),
    }


# Operations


async def simulate_custom_policy(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """What policies that a request brings decide of actions."""
    return await _simulated(request, _simulation(identity, request, None, (), None))


async def simulate_principal_policy(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """What the policies of a user, group or role decide of actions."""
    arn = request["PolicySourceArn"]
    source = entity(identity, arn)
    left_out = Exclusions(request.get("PolicyExclusionList", ()))
    policies = tuple(one.sourced for one in held(identity, source) if not left_out.has(one))
    limit = source.row.get("Boundary")
    boundary = None if limit is None or left_out.has_boundary(limit) else managed(identity, limit)
    return await _simulated(request, _simulation(identity, request, (arn, source), policies, boundary))


async def get_context_keys_for_custom_policy(
    identity: AccountIdentity, context: Context, request: Request
) -> dict[str, Any]:
    """The condition keys that policies use."""
    found = given("PolicyInputList", request["PolicyInputList"])
    return {"ContextKeyNames": list(document_texts.context_keys(*(one.document for one in found)))}


async def get_context_keys_for_principal_policy(
    identity: AccountIdentity, context: Context, request: Request
) -> dict[str, Any]:
    """The condition keys that the policies of a user, group or role use, and those that the request brings."""
    source = entity(identity, request["PolicySourceArn"])
    documents = [one.sourced.document for one in held(identity, source)]
    documents += [one.document for one in given("PolicyInputList", request.get("PolicyInputList", ()))]
    return {"ContextKeyNames": list(document_texts.context_keys(*documents))}
