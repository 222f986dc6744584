"""The authorizer: whether the policies of a caller allow what it requests.

What depends on neither the item nor the moment is decided once for a principal, an action and a resource, and kept
until the account's identity store changes (`evaluation.prepare`). For the requests of one form (`aws.access.Form`) more
is decided once, and what is left is a few look-ups (`gates`). Sessions of one role share both, as far as policies do
not ask which session it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from jedlik.aws.access import CALLER, UNSEEN, Access, Form, Formed
from jedlik.aws.authorizer import Owner, denied, refused
from jedlik.aws.context import Caller
from jedlik.aws.errors import AccessDeniedException, UnrecognizedClientException
from jedlik.aws.policies.evaluation import (
    Asking,
    Decision,
    Identity,
    Prepared,
    Source,
    finish,
    open_keys,
    prepare,
)
from jedlik.aws.policies.policy_documents import ANYBODY, Kind, Policy
from jedlik.aws.principals import Principal
from jedlik.iam.gates import Gate, gate_of
from jedlik.iam.identity_stores import ADMINISTRATOR, AccountIdentity, IdentityStores
from jedlik.iam.policy_checks import stored_policy
from jedlik.iam.request_values import OF_CONNECTION, OF_FORM, RequestValues, TagsOf, no_tags, varies
from jedlik.iam.subjects import identity_of, managed, values_of_root

MOST_PREPARED = 1024
"""Decisions that are kept of a principal: of its actions and resources."""
MOST_PRINCIPALS = 4096
"""Principals of an account that are kept."""
MOST_WAYS = 64
"""Policies of VPC endpoints for which decisions of a principal are kept."""

Way = tuple[str, str]
"""A VPC endpoint, and the document of its policy."""


class Kept:
    """What has been decided for an identity, or for all sessions of a role, whose requests come one way."""

    def __init__(self, identity: Identity, endpoint: Policy | None = None) -> None:
        self.identity = identity
        self._endpoint = endpoint
        self._prepared: dict[tuple[str, str, str | None], tuple[Prepared, frozenset[str]]] = {}
        self.gates: dict[Form, Gate] = {}
        self._behind: dict[Way, Kept] = {}

    def behind(self, way: Way) -> Kept:
        """What has been decided for the same identity, whose requests come by a VPC endpoint."""
        found = self._behind.get(way)
        if found is None:
            if len(self._behind) >= MOST_WAYS:
                self._behind.clear()
            found = self._behind[way] = Kept(self.identity, stored_policy(way[1], Kind.RESOURCE))
        return found

    def prepared(self, access: Access) -> tuple[Prepared, frozenset[str]]:
        """What is left to be decided of an access, as far as the caller's own account decides, and by which keys."""
        action, resource, _, document = access
        found = self._prepared.get((action, resource, document))
        if found is None:
            asking, is_known = self.identity, document is not None and document is not UNSEEN
            # The account itself is not refused by the policies of its own resources.
            is_about = is_known and asking.kind is not Asking.ROOT
            policy = stored_policy(str(document), Kind.RESOURCE) if is_about else None
            named = asking.arn if resource == CALLER else resource
            prepared = prepare(asking, action, named, policy, asking.account, self._endpoint)
            if len(self._prepared) >= MOST_PREPARED:
                self._prepared.clear()
            found = self._prepared[action, resource, document] = prepared, open_keys(prepared)
        return found


class Subject:
    """A principal, with what is kept of it."""

    def __init__(self, identity: Identity, shared: Kept | None = None, own: Kept | None = None) -> None:
        """`shared` is kept of all sessions like this one, whose identity leaves out what is a session's own."""
        self.identity = identity
        self._own = own or Kept(identity)
        self._shared = shared or self._own
        known = self._shared.identity.values
        self._apart = frozenset(key for key in identity.values if key not in known)
        """The keys that are this session's own."""
        self.gates = self._own.gates
        self._behind: dict[Way, Subject] = {}

    def behind(self, way: Way) -> Subject:
        """The same principal, whose requests come by a VPC endpoint."""
        found = self._behind.get(way)
        if found is None:
            own = self._own.behind(way)
            is_shared = self._shared is not self._own and is_about_everybody(stored_policy(way[1], Kind.RESOURCE))
            if len(self._behind) >= MOST_WAYS:
                self._behind.clear()
            found = self._behind[way] = Subject(self.identity, self._shared.behind(way) if is_shared else own, own)
        return found

    def _kept(self, access: Access) -> Kept:
        """Where decisions of an access are kept: with those of other sessions, unless they depend on this one. A
        resource's policy may name it."""
        shared = self._shared
        names_session = access.policy is not None or access.resource == CALLER
        if shared is self._own or not (names_session or not self._apart.isdisjoint(shared.prepared(access)[1])):
            return shared
        return self._own

    def prepared(self, access: Access) -> Prepared:
        """What is left to be decided of an access, as far as the caller's own account decides."""
        return self._kept(access).prepared(access)[0]

    def gate(self, form: Form, values: RequestValues) -> Gate:
        """What is left to be decided of the requests of a form; `values` are those of one of them."""
        kept = self._kept(form.access)
        found = kept.gates.get(form)
        if found is None:
            found = gate_of(kept.prepared(form.access)[0], form, _known(form, values, OF_FORM), varies)
            _keep(kept.gates, form, found)
        if kept is not self._own:
            _keep(self.gates, form, found)
        return found

    def gate_of_connection(self, form: Form, values: RequestValues) -> Gate:
        """The same for one connection, whose client's address is settled as well. It is not kept here."""
        found = self.gate(form, values)
        if found.rest is None:
            return found
        known = _known(form, values, OF_FORM | OF_CONNECTION)
        return gate_of(self.prepared(form.access), form, known, lambda key: varies(key) and key not in OF_CONNECTION)


def _known(form: Form, values: RequestValues, keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The values that all requests of a form have, with those of `keys`."""
    own = {key.lower(): given for key, given in form.access.context.items()}
    return own | {key: values[key] for key in keys}


def is_about_everybody(policy: Policy) -> bool:
    """Whether each statement of a policy is about all principals."""
    return all(
        one.principals is not None and ANYBODY in one.principals.aws and not one.not_principals
        for one in policy.statements
    )


def _keep(gates: dict[Form, Gate], form: Form, made: Gate) -> None:
    if len(gates) >= MOST_PREPARED:
        gates.clear()
    gates[form] = made


class PolicyAuthorizer:
    """The authorizer of a server that verifies signatures."""

    way = None

    def __init__(
        self,
        stores: IdentityStores,
        *,
        is_secure: bool = False,
        clock: Callable[[], float] = time.time,
        tags_of: TagsOf = no_tags,
    ) -> None:
        self._stores = stores
        self._is_secure = is_secure
        self._clock = clock
        self._tags_of = tags_of
        self._known: dict[int, tuple[Principal, AccountIdentity, dict[Any, Any], Subject]] = {}
        """Subjects by the identity of the principal object, which a caller keeps: it need not be hashed. With each goes
        what its account's store kept then: another object means that the store has changed since."""

    def allows_everything(self, caller: Caller) -> bool:
        """Whether the caller is the account itself, or its key was made before there were users."""
        who = caller.who
        return who is None or (not who.subject and who.policies is None and not who.policy_arns)

    def allows(self, caller: Caller, accesses: tuple[Access, ...]) -> bool:
        """Whether all of them are allowed, as far as the caller's own account decides. Raises nothing."""
        who = caller.who
        if who is None:
            return True
        known = self._known.get(id(who))
        if known is not None and known[0] is who and known[1].kept is known[2]:
            known[1].is_used = True
            subject: Subject | None = known[3]
        else:
            subject = self.subject(caller.account, who)
        if subject is None:
            return False
        for access in accesses:
            if access.policy is UNSEEN:
                return False
            if not self._decided(subject, caller, access).allowed:
                return False
        return True

    def permits(self, caller: Caller) -> Permits | None:
        """What a caller may do; None if that is everything."""
        who = caller.who
        return None if who is None or self.allows_everything(caller) else Permits(self, caller, who)

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """Raise AccessDeniedException for the first that the caller's own account does not allow."""
        if caller.who is None or self.allows(caller, accesses):
            return
        subject = self.subject(caller.account, caller.who)
        if subject is None:
            raise UnrecognizedClientException("The security token included in the request is invalid.")
        for access in accesses:
            decision = self._decided(subject, caller, access)
            if not decision.allowed:
                raise refusal(caller, access, decision)

    async def check_across(
        self, caller: Caller, accesses: tuple[Access, ...], owner: Owner, endpoint: Policy | None = None
    ) -> None:
        """Raise AccessDeniedException for the first that the policy of a resource of another account does not allow,
        or that of the VPC endpoint by which the request comes."""
        identity = self.identity_of(caller)
        for access in await owner():
            if access.policy is None or access.policy is UNSEEN:
                raise denied(caller, access, "resource-based")
            policy = stored_policy(access.policy, Kind.RESOURCE)
            prepared = prepare(identity, access.action, access.resource, policy, endpoint=endpoint)
            decision = finish(prepared, self.values(access, caller))
            if not decision.allowed:
                raise refusal(caller, access, decision)

    def identity_of(self, caller: Caller) -> Identity:
        """The caller with its policies; the account itself may do everything as far as it decides."""
        if caller.who is not None:
            subject = self.subject(caller.account, caller.who)
            if subject is None:
                raise UnrecognizedClientException("The security token included in the request is invalid.")
            return subject.identity
        everything = managed(self._stores.of(caller.account), ADMINISTRATOR)
        assert everything is not None
        values = values_of_root(caller.account)
        return Identity(caller.account, caller.principal, Asking.ROOT, policies=(everything,), values=values)

    def values(self, access: Access, caller: Caller) -> RequestValues:
        """The condition keys of a request for an access."""
        return RequestValues(access, caller, self._is_secure, self._clock, self._tags_of)

    def _decided(self, subject: Subject, caller: Caller, access: Access) -> Decision:
        return finish(subject.prepared(access), self.values(access, caller))

    def identity(self, account: str) -> AccountIdentity:
        """The identity store of an account. Raises StorageError."""
        return self._stores.of(account)

    def subject(self, account: str, principal: Principal) -> Subject | None:
        """A principal with its policies; None if its user or role is no longer there. Raises StorageError."""
        identity = self._stores.of(account)
        found: Subject | None = identity.kept.get(principal)
        if found is None:
            made = identity_of(identity, principal)
            if made is None:
                return None
            found = Subject(made, _shared(identity, principal, made))
            if len(identity.kept) >= MOST_PRINCIPALS:
                identity.kept = {}
            if identity.is_there:
                identity.kept[principal] = found
        if identity.is_there:
            if len(self._known) >= MOST_PRINCIPALS:
                self._known.clear()
            self._known[id(principal)] = principal, identity, identity.kept, found
        return found


def _shared(account: AccountIdentity, principal: Principal, identity: Identity) -> Kept | None:
    """What is kept of all sessions that differ from this one by no more than their names and times."""
    if principal.issued is None:
        return None
    alike = principal._replace(arn="", unique_id="", transitive=(), issued=None, source_identity="")
    found: Kept | None = account.kept.get(alike)
    if found is None:
        theirs = identity_of(account, alike)
        assert theirs is not None, "the session's own identity was found"
        values = {key: value for key, value in theirs.values.items() if identity.values.get(key) == value}
        found = Kept(replace(theirs, values=values))
        if account.is_there:
            account.kept[alike] = found
    return found


class Permits:
    """What a caller may do that is limited by policies."""

    __slots__ = ("_authorizer", "_caller", "_gates", "_identity", "_kept", "_who")

    def __init__(self, authorizer: PolicyAuthorizer, caller: Caller, who: Principal) -> None:
        self._authorizer = authorizer
        self._caller = caller
        self._who = who
        self._identity: AccountIdentity | None = None
        self._kept: dict[Any, Any] = {}
        """What the account's store kept when `_gates` were: another object means that it has changed since."""
        self._gates: dict[Form, Gate] = {}

    def allow(self, formed: Formed) -> bool:
        """Whether a request of a known form is allowed, as `PolicyAuthorizer.allows` would find."""
        form, given = formed
        identity = self._identity
        if identity is None or identity.kept is not self._kept:
            return self._allow_first(formed)
        identity.is_used = True
        gate = self._gates.get(form)
        if gate is None:
            return self._allow_first(formed)
        tests = gate.tests
        if tests is not None:
            for place, holds in tests:
                if not holds(given[place]):
                    break
            else:
                return True
            return False
        return gate.allows(given) and (gate.rest is None or gate.rest.allows(given, self._values(form)))

    def _allow_first(self, formed: Formed) -> bool:
        """The same for the first request of a form, or after a change."""
        form, given = formed
        if form.access.policy is UNSEEN:
            return False
        subject = self._authorizer.subject(self._caller.account, self._who)
        if subject is None:
            return False
        gate = subject.gate(form, self._values(form))
        identity = self._authorizer.identity(self._caller.account)
        if identity.is_there:
            self._identity, self._kept, self._gates = identity, identity.kept, subject.gates
        return gate.allows(given) and (gate.rest is None or gate.rest.allows(given, self._values(form)))

    def _values(self, form: Form) -> RequestValues:
        return self._authorizer.values(form.access, self._caller)


def refusal(caller: Caller, access: Access, decision: Decision) -> AccessDeniedException:
    """The error for an access that a decision does not allow, in AWS's words."""
    source = decision.source or Source.IDENTITY
    if access.resource == CALLER:
        access = access._replace(resource=caller.principal)
    return refused(caller, access, source.value, is_explicit=decision.denied)
