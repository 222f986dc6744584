"""What policies decide of a request: pure functions.

All policies that apply are looked at together. A Deny in any of them refuses. Without one, something must allow:

    in one account    the identity's policies, or the resource's; and the boundary and the session's policy, where there
                      is one, must allow too. A resource policy that names a user, or a session, is not limited by what
                      these leave out; one that names a role, or anybody, is. One that names the account leaves it to
                      the account's own policies
    across accounts   the resource's policy, whatever it names; and on the other side the identity's policies, the
                      boundary and the session's policy

What comes by a VPC endpoint, the endpoint's policy must allow, too. It names principals as a resource's policy does,
and like a boundary it grants nothing.

What depends on neither the item nor the moment is decided once, by `prepare`: the statements that can be about
an action and a resource are found, conditions on what is known of the caller are tested, and variables are put in.
What is left (`Prepared`) is a few conditions on the values of a request.

Sources: "Policy evaluation logic" and "IAM JSON policy elements: Principal" in the IAM user guide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from jedlik.aws.access import Beginning
from jedlik.aws.policies.condition_tests import Condition, Holds, compiled
from jedlik.aws.policies.policy_documents import ANYBODY, Policy, Statement
from jedlik.aws.policies.wildcards import Template, Values, arn_matcher, arn_reacher, matcher


class Source(Enum):
    """The kinds of policies that refuse, as AWS's refusals call them."""

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    RESOURCE = "resource-based policy"
    ENDPOINT = "VPC endpoint policy"


class Asking(Enum):
    """The kinds of principals."""

    ROOT = "root"
    USER = "user"
    ROLE_SESSION = "assumed-role"
    FEDERATED_USER = "federated-user"
    SERVICE = "service"
    """One of AWS's, in its own name: only policies that name it are about it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, with the policies that are attached to it."""

    account: str
    arn: str
    """The ARN of the user, or of the session."""
    kind: Asking = Asking.USER
    unique_id: str = ""
    role_arn: str | None = None
    """The ARN of a session's role."""
    role_id: str | None = None
    policies: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    session: tuple[Policy, ...] | None = None
    """None if there is no session policy."""
    provider: str | None = None
    """The ARN of the issuer that vouches for it, if it has no account yet: only Federated principals are about it."""
    values: Values = field(default_factory=dict)
    """The condition keys that are known of it, by their names in small letters: these no request can change."""
    service: str = ""
    """The principal of a service: `dax.amazonaws.com`."""


class Decision(NamedTuple):
    """Whether a request is allowed, and why not."""

    allowed: bool
    denied: bool
    """Whether a statement denies it, where it is not allowed; else nothing allows it."""
    source: Source | None
    """Which kind of policy denies it, or should have allowed it; None if it is allowed."""


ALLOWED = Decision(True, False, None)


class _Ready(NamedTuple):
    """A statement that is about an action and a resource, with the conditions that are left to be tested."""

    statement: Statement
    conditions: tuple[tuple[str, Holds], ...]
    late: tuple[Condition, ...]
    """Those whose variables have values only in a request."""
    resources: tuple[Template, ...]
    """Those whose variables have values only in a request; they are tested then."""


Ready = tuple[_Ready, ...]
Applies = Callable[[Ready], bool]
"""Whether one of some statements applies."""


class Prepared(NamedTuple):
    """All that is left to be decided for an identity, an action and a resource."""

    decided: Decision | None
    """The decision, where it depends on no request."""
    denies: tuple[tuple[Source, Ready], ...]
    """Statements of each kind of policy that may deny, in the order in which refusals name them."""
    identity: Ready
    """Statements that may allow, of each kind of policy; as all that follow."""
    boundary: Ready | None
    """None if there is no boundary."""
    session: Ready | None
    unlimited: Ready
    """Those of the resource's policy that name the user or the session."""
    limited: Ready
    """Those of the resource's policy that name its role, or anybody."""
    is_across: bool
    resource: str
    known: Values
    """What is known of the identity."""
    endpoint: Ready | None = None
    """None if the request comes by no VPC endpoint, or by one without a policy."""


def decide(identity: Identity, action: str, resource: str, values: Values, policy: Policy | None = None) -> Decision:
    """Whether an identity may do something to a resource, whose policy is given if it has one.

    `values` are the condition keys that the request has, by their names in small letters.
    """
    return finish(prepare(identity, action, resource, policy), values)


def prepare(
    identity: Identity,
    action: str,
    resource: str,
    policy: Policy | None = None,
    owner: str | None = None,
    endpoint: Policy | None = None,
) -> Prepared:
    """Decide what depends on neither the request's item nor the moment. `owner` is the account of the resource; by
    default, that of its ARN. `endpoint` is the policy of the VPC endpoint by which it is asked for."""
    if owner is None:
        parts = resource.split(":", 5)
        owner = parts[4] if len(parts) > 4 and parts[4] else identity.account
    is_across = owner != identity.account
    small = action.lower()

    def found(policies: Iterable[Policy], allows: bool) -> Ready:
        each = (
            _ready(one, small, resource, identity.values)
            for policy in policies
            for one in policy.statements
            if one.allows is allows
        )
        return tuple(one for one in each if one is not None)

    def about(one: Policy | None, allows: bool) -> Ready:
        """The statements of a policy that names principals."""
        every = () if one is None else found((one,), allows)
        return tuple(ready for ready in every if _is_about(ready.statement, identity))

    session = identity.session
    boundary = None if identity.boundary is None else (identity.boundary,)
    denies = (
        (Source.IDENTITY, found(identity.policies, False)),
        (Source.BOUNDARY, found(boundary or (), False)),
        (Source.SESSION, found(session or (), False)),
        (Source.RESOURCE, about(policy, False)),
        (Source.ENDPOINT, about(endpoint, False)),
    )
    allowing = about(policy, True)
    prepared = Prepared(
        None,
        tuple((source, ready) for source, ready in denies if ready),
        found(identity.policies, True),
        None if boundary is None else found(boundary, True),
        None if session is None else found(session, True),
        tuple(one for one in allowing if _names(one.statement, identity)),
        tuple(one for one in allowing if is_across or _names_role_or_anybody(one.statement, identity)),
        is_across,
        resource,
        identity.values,
        None if endpoint is None else about(endpoint, True),
    )
    decided = _decided(prepared)
    return prepared if decided is None else prepared._replace(decided=decided)


def finish(prepared: Prepared, values: Values) -> Decision:
    """The decision for a request with these values."""
    if prepared.decided is not None:
        return prepared.decided
    for source, statements in prepared.denies:
        if _any(statements, values, prepared):
            return Decision(False, True, source)
    return _allowed(prepared, lambda statements: _any(statements, values, prepared))


Varies = Callable[[str], bool]
"""Whether requests differ in the values of a key."""


def narrowed(prepared: Prepared, values: Values, varies: Varies) -> Prepared:
    """What is left to be decided for requests that all have these values, and differ in the keys that vary."""
    if prepared.decided is not None:
        return prepared
    together = {**values, **prepared.known}

    def settled(statements: Ready) -> Ready:
        each = (_narrowed(one, prepared.resource, together, varies) for one in statements)
        return tuple(one for one in each if one is not None)

    found = prepared._replace(
        denies=tuple((source, ready) for source, each in prepared.denies if (ready := settled(each))),
        identity=settled(prepared.identity),
        boundary=None if prepared.boundary is None else settled(prepared.boundary),
        session=None if prepared.session is None else settled(prepared.session),
        endpoint=None if prepared.endpoint is None else settled(prepared.endpoint),
        unlimited=settled(prepared.unlimited),
        limited=settled(prepared.limited),
    )
    decided = _decided(found)
    return found if decided is None else found._replace(decided=decided)


def _narrowed(ready: _Ready, resource: str, values: Values, varies: Varies) -> _Ready | None:
    """A statement, as far as it can be tested with these values; None if it does not apply."""
    resources = ready.resources
    if resources and not any(varies(key) for one in resources for key in one.keys):
        if not _is_on(ready, values, resource):
            return None
        resources = ()
    conditions: list[tuple[str, Holds]] = []
    late: list[Condition] = []
    for key, holds in ready.conditions:
        if varies(key):
            conditions.append((key, holds))
        elif not holds(values.get(key, ())):
            return None
    for condition in ready.late:
        if any(map(varies, condition.keys - {condition.key})):
            late.append(condition)
            continue
        holds = compiled(condition, values, not ready.statement.allows)
        if varies(condition.key):
            conditions.append((condition.key, holds))
        elif not holds(values.get(condition.key, ())):
            return None
    return ready._replace(conditions=tuple(conditions), late=tuple(late), resources=resources)


def open_keys(prepared: Prepared) -> frozenset[str]:
    """The condition keys that are left to be looked at."""
    allowing = (
        *(prepared.identity, prepared.boundary, prepared.session, prepared.endpoint),
        *(prepared.unlimited, prepared.limited),
    )
    found: set[str] = set()
    for statements in (*(ready for _, ready in prepared.denies), *(ready for ready in allowing if ready is not None)):
        for one in statements:
            found.update(key for key, _ in one.conditions)
            found.update(*(condition.keys for condition in one.late), *(template.keys for template in one.resources))
    return frozenset(found)


def _decided(prepared: Prepared) -> Decision | None:
    """The decision, if no condition is left that it could depend on."""
    for source, statements in prepared.denies:
        if any(map(_is_settled, statements)):
            return Decision(False, True, source)
    least = _allowed(prepared, lambda statements: any(map(_is_settled, statements)))
    most = _allowed(prepared, lambda statements: bool(statements))
    return least if least == most and not prepared.denies else None


def _allowed(prepared: Prepared, applies: Applies) -> Decision:
    """What is allowed where nothing denies, if these statements apply."""
    found = _allowed_anywhere(prepared, applies)
    if found.allowed and prepared.endpoint is not None and not applies(prepared.endpoint):
        return Decision(False, False, Source.ENDPOINT)
    return found


def _allowed_anywhere(prepared: Prepared, applies: Applies) -> Decision:
    """The same, whichever way the request comes."""
    by_identity = applies(prepared.identity)
    if prepared.is_across:
        if not by_identity:
            return Decision(False, False, Source.IDENTITY)
    elif applies(prepared.unlimited):
        return ALLOWED
    elif not by_identity and not applies(prepared.limited):
        return Decision(False, False, Source.IDENTITY)
    if prepared.boundary is not None and not applies(prepared.boundary):
        return Decision(False, False, Source.BOUNDARY)
    if prepared.session is not None and not applies(prepared.session):
        return Decision(False, False, Source.SESSION)
    if prepared.is_across and not applies(prepared.unlimited) and not applies(prepared.limited):
        return Decision(False, False, Source.RESOURCE)
    return ALLOWED


def applying(
    policy: Policy, identity: Identity, action: str, resource: str, values: Values, *, allows: bool
) -> tuple[int, ...]:
    """The places of a policy's statements that apply to a request: those that allow, or those that deny."""
    prepared = Prepared(None, (), (), None, None, (), (), False, resource, identity.values)
    found: list[int] = []
    for place, statement in enumerate(policy.statements):
        if statement.allows is allows and _is_about(statement, identity):
            ready = _ready(statement, action.lower(), resource, identity.values)
            if ready is not None and _applies(ready, values, prepared):
                found.append(place)
    return tuple(found)


# Statements


def _ready(statement: Statement, action: str, resource: str, known: Values) -> _Ready | None:
    """A statement, as far as it can be tested for an action and a resource; None if it is not about them."""
    if any(matcher(one.text)(action) for one in statement.actions) is statement.not_actions:
        return None
    late_resources: tuple[Template, ...] = ()
    if statement.resources:
        found = [_matches(one, resource, known, statement) for one in statement.resources if one.keys <= known.keys()]
        late_resources = tuple(one for one in statement.resources if not one.keys <= known.keys())
        if any(found):
            if statement.not_resources:
                return None
            late_resources = ()
        elif not late_resources and not statement.not_resources:
            return None
    conditions: list[tuple[str, Holds]] = []
    late: list[Condition] = []
    for condition in statement.conditions:
        if not condition.keys - {condition.key} <= known.keys():
            late.append(condition)
            continue
        holds = compiled(condition, known, not statement.allows)
        if condition.key not in known:
            conditions.append((condition.key, holds))
        elif not holds(known[condition.key]):
            return None
    return _Ready(statement, tuple(conditions), tuple(late), late_resources)


def _matches(template: Template, resource: str, values: Values, statement: Statement) -> bool:
    pattern = template.pattern(values)
    if pattern is None:
        return False
    if isinstance(resource, Beginning) and not (statement.allows or statement.not_resources):
        return arn_reacher(pattern)(resource.removesuffix("*"))
    return arn_matcher(pattern)(resource)


def _is_settled(ready: _Ready) -> bool:
    """Whether a statement applies, whatever the request."""
    return not (ready.conditions or ready.late or ready.resources)


def _any(statements: Ready, values: Values, prepared: Prepared) -> bool:
    """Whether one of the statements applies to a request."""
    return any(_applies(ready, values, prepared) for ready in statements)


def _applies(ready: _Ready, values: Values, prepared: Prepared) -> bool:
    for key, holds in ready.conditions:
        if not holds(values.get(key, ())):
            return False
    if not ready.late and not ready.resources:
        return True
    together = {**values, **prepared.known}
    if ready.resources and not _is_on(ready, together, prepared.resource):
        return False
    denies = not ready.statement.allows
    return all(compiled(one, together, denies)(together.get(one.key, ())) for one in ready.late)


def _is_on(ready: _Ready, values: Values, resource: str) -> bool:
    """Whether a statement is about a resource, with these values of its variables."""
    statement = ready.statement
    # A variable that has no value must not make NotResource allow more.
    missing = any(one.pattern(values) is None for one in ready.resources)
    found = any(_matches(one, resource, values, statement) for one in ready.resources)
    return found is not statement.not_resources and not (missing and statement.not_resources and statement.allows)


# Principals


def _is_about(statement: Statement, identity: Identity) -> bool:
    """Whether a statement of a resource's policy is about an identity."""
    listed = statement.principals
    if listed is None:
        return True
    if identity.provider is not None:
        named = identity.provider in listed.federated or (not statement.allows and ANYBODY in listed.aws)
        return named and not statement.not_principals if statement.allows else named is not statement.not_principals
    if identity.kind is Asking.SERVICE:
        found = identity.service in listed.services
    else:
        found = bool(_every_name(identity) & listed.aws) or ANYBODY in listed.aws
    return found is not statement.not_principals


def _names(statement: Statement, identity: Identity) -> bool:
    """Whether a statement names the user or the session itself."""
    listed = statement.principals
    if listed is None or statement.not_principals or identity.kind is Asking.ROOT:
        return listed is None
    if identity.kind is Asking.SERVICE:
        return identity.service in listed.services
    return identity.arn in listed.aws or (identity.unique_id in listed.aws and bool(identity.unique_id))


def _names_role_or_anybody(statement: Statement, identity: Identity) -> bool:
    """Whether a statement names more than the identity, and not merely its account."""
    listed = statement.principals
    if listed is None or statement.not_principals:
        return listed is not None
    return ANYBODY in listed.aws or bool({identity.role_arn, identity.role_id} & listed.aws)


def _every_name(identity: Identity) -> frozenset[str]:
    """All that stands for an identity where principals are listed."""
    partition = identity.arn.split(":", 2)[1] if identity.arn.startswith("arn:") else "aws"
    account = identity.account
    names = (
        identity.arn,
        identity.unique_id,
        identity.role_arn,
        identity.role_id,
        account,
        f"arn:{partition}:iam::{account}:root",
    )
    return frozenset(name for name in names if name)
