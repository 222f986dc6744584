"""The authorizer of one VPC endpoint: its policy limits what all others allow.

The policy is a filter like a boundary (`evaluation`), so it goes into what is decided once for a principal and for a
form: a request that comes by an endpoint costs no more to decide than another. It limits the account itself, too, which
elsewhere may do everything. It is looked up for each request, since it may change at any time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jedlik.aws.access import UNSEEN, Access, Form, Formed
from jedlik.aws.authorizer import Owner
from jedlik.aws.context import Caller
from jedlik.aws.errors import UnrecognizedClientException
from jedlik.aws.policies.evaluation import Asking, finish
from jedlik.aws.policies.policy_documents import Kind
from jedlik.aws.principals import Principal
from jedlik.aws.private_ways import PrivateWay
from jedlik.iam.authorizing import MOST_PRINCIPALS, PolicyAuthorizer, Subject, refusal
from jedlik.iam.gates import Gate
from jedlik.iam.identity_stores import AccountIdentity
from jedlik.iam.policy_checks import stored_policy
from jedlik.iam.request_values import RequestValues


class EndpointAuthorizer:
    """Decides what comes by one endpoint."""

    def __init__(self, authorizer: PolicyAuthorizer, way: PrivateWay) -> None:
        """`authorizer` decides for the ordinary port."""
        self._authorizer = authorizer
        self.way: PrivateWay | None = way
        self._way = way
        self._unlimited: dict[tuple[str, Principal | None], Subject] = {}
        """The callers that nothing but the endpoint's policy limits."""

    def allows_everything(self, caller: Caller) -> bool:
        """False: the policy may change at any time."""
        return False

    def allows(self, caller: Caller, accesses: tuple[Access, ...]) -> bool:
        """Whether all of them are allowed, as far as is known without waiting."""
        document = self._way.document()
        if document is None:
            return False
        subject = self.subject(caller, document)
        return subject is not None and all(self._allows(subject, caller, access) for access in accesses)

    def permits(self, caller: Caller) -> EndpointPermits:
        """What a caller may do."""
        return EndpointPermits(self, self._way, caller)

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """Raise AccessDeniedException for the first that the caller's own account, or the endpoint's policy, does not
        allow."""
        subject = self.subject(caller, await self._way.learn())
        if subject is None:
            raise UnrecognizedClientException("The security token included in the request is invalid.")
        for access in accesses:
            decision = finish(subject.prepared(access), self.values(access, caller))
            if not decision.allowed:
                raise refusal(caller, access, decision)

    async def check_across(self, caller: Caller, accesses: tuple[Access, ...], owner: Owner) -> None:
        """Raise AccessDeniedException for the first that the policy of a resource of another account, or the
        endpoint's, does not allow: what was decided before did not know the keys of that account's tables."""
        document = await self._way.learn()
        await self._authorizer.check_across(caller, accesses, owner, stored_policy(document, Kind.RESOURCE))

    def _allows(self, subject: Subject, caller: Caller, access: Access) -> bool:
        if access.policy is UNSEEN and subject.identity.kind is not Asking.ROOT:
            return False
        return finish(subject.prepared(access), self.values(access, caller)).allowed

    def values(self, access: Access, caller: Caller) -> RequestValues:
        """The condition keys of a request for an access."""
        return self._authorizer.values(access, caller)

    def subject(self, caller: Caller, document: str) -> Subject | None:
        """A caller behind the endpoint with this policy; None if its user or role is no longer there. Raises
        StorageError."""
        who = caller.who
        if who is None or self._authorizer.allows_everything(caller):
            found = self._unlimited_one(caller)
        else:
            known = self._authorizer.subject(caller.account, who)
            if known is None:
                return None
            found = known
        return found.behind((self._way.id, document))

    def _unlimited_one(self, caller: Caller) -> Subject:
        key = caller.account, caller.who
        found = self._unlimited.get(key)
        if found is None:
            if len(self._unlimited) >= MOST_PRINCIPALS:
                self._unlimited.clear()
            identity = replace(self._authorizer.identity_of(caller), kind=Asking.ROOT)
            found = self._unlimited[key] = Subject(identity)
        return found

    def kept(self, caller: Caller) -> AccountIdentity | None:
        """The identity store that decides what a caller may do; None if none does, or if it is not there yet."""
        if caller.who is None or self._authorizer.allows_everything(caller):
            return None
        identity = self._authorizer.identity(caller.account)
        return identity if identity.is_there else None

    def is_kept(self, caller: Caller) -> bool:
        """Whether what is decided for a caller holds until its account's identity store changes."""
        return caller.who is None or self._authorizer.allows_everything(caller) or self.kept(caller) is not None


MOST_GATES = 256
"""Forms of requests of which a connection keeps what is left to be decided."""


class EndpointPermits:
    """What a caller may do by an endpoint, on one connection: policies of endpoints often ask for the client's address,
    which stays the same there."""

    __slots__ = ("_authorizer", "_caller", "_document", "_gates", "_identity", "_kept", "_way")

    def __init__(self, authorizer: EndpointAuthorizer, way: PrivateWay, caller: Caller) -> None:
        self._authorizer = authorizer
        self._way = way
        self._caller = caller
        self._identity: AccountIdentity | None = None
        """The account's store, if it limits the caller; `_kept` is what it kept when `_gates` were."""
        self._kept: dict[Any, Any] | None = None
        self._document: str | None = None
        """The endpoint's policy when `_gates` were kept; None for none."""
        self._gates: dict[Form, Gate] = {}

    def allow(self, formed: Formed) -> bool:
        """Whether a request of a known form is allowed, as `EndpointAuthorizer.allows` would find."""
        document = self._way.document()
        if document is None:
            return False
        form, given = formed
        identity = self._identity
        if document is not self._document:
            return self._allow_first(formed, document)
        if identity is not None:
            if identity.kept is not self._kept:
                return self._allow_first(formed, document)
            identity.is_used = True
        gate = self._gates.get(form)
        if gate is None:
            return self._allow_first(formed, document)
        tests = gate.tests
        if tests is not None:
            for place, holds in tests:
                if not holds(given[place]):
                    break
            else:
                return True
            return False
        return gate.allows(given) and (gate.rest is None or gate.rest.allows(given, self._values(form)))

    def _allow_first(self, formed: Formed, document: str) -> bool:
        """The same for the first request of a form, or after a change."""
        form, given = formed
        subject = self._authorizer.subject(self._caller, document)
        if subject is None or (form.access.policy is UNSEEN and subject.identity.kind is not Asking.ROOT):
            return False
        values = self._values(form)
        gate = subject.gate_of_connection(form, values)
        if self._authorizer.is_kept(self._caller):
            identity = self._identity = self._authorizer.kept(self._caller)
            kept = None if identity is None else identity.kept
            if document is not self._document or kept is not self._kept or len(self._gates) >= MOST_GATES:
                self._document, self._kept, self._gates = document, kept, {}
            self._gates[form] = gate
        return gate.allows(given) and (gate.rest is None or gate.rest.allows(given, values))

    def _values(self, form: Form) -> RequestValues:
        return self._authorizer.values(form.access, self._caller)
