"""Sessions of roles and users: who may have one, and what limits it.

To assume a role takes the role's trust policy, always, and in one account also the caller's own policies, unless the
trust policy names the caller itself. Across accounts it takes both.

Sources: the API reference of STS; "Requesting temporary security credentials", "Policy evaluation logic" and "Passing
session tags" in the IAM user guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from jedlik.aws.access import Access, account_of
from jedlik.aws.context import Caller, root
from jedlik.aws.errors import AccessDeniedException, ValidationException
from jedlik.aws.policies.evaluation import Identity, applying, finish, prepare
from jedlik.aws.policies.policy_documents import Kind, Policy
from jedlik.aws.policies.policy_parser import parsed
from jedlik.aws.principals import FEDERATED_USER, ROLE_SESSION, Principal
from jedlik.aws.principals import USER as A_USER
from jedlik.aws.sessions import Issued, WebIssued
from jedlik.iam import entities
from jedlik.iam.attachments import policy_row
from jedlik.iam.authorizing import PolicyAuthorizer
from jedlik.iam.errors import (
    InvalidInputException,
    LimitExceededException,
    MalformedPolicyDocumentException,
    PackedPolicyTooLargeException,
)
from jedlik.iam.identity_rows import ROLE, USER, Row
from jedlik.iam.identity_stores import ADMINISTRATOR, AccountIdentity, IdentityStores
from jedlik.iam.oidc_providers import SCHEME
from jedlik.iam.policy_checks import checked_document
from jedlik.iam.session_tokens import LONGEST, sealed
from jedlik.iam.subjects import managed
from jedlik.iam.users import new_access_key, new_secret
from jedlik.iam.web_identities import WebIdentities

TEMPORARY = "ASIA"
MOST_ARNS = 10
MOST_TAGS = 50
USUAL_ROLE_SECONDS = 3600
LONGEST_CHAINED = 3600
USUAL_USER_SECONDS = 43200
LONGEST_OF_ROOT = 3600


@lru_cache(maxsize=1024)
def trust_policy(document: str, trusted: tuple[tuple[str, str], ...]) -> Policy:
    """A role's trust policy, in which the unique ids of users and roles stand for their ARNs."""
    policy, ids = parsed(document, Kind.TRUST), dict(trusted)
    statements = []
    for statement in policy.statements:
        principals = statement.principals
        if principals is not None:
            aws = frozenset(ids.get(name, name) for name in principals.aws)
            statement = replace(statement, principals=replace(principals, aws=aws))
        statements.append(statement)
    return replace(policy, statements=tuple(statements))


class PolicySessions:
    """`aws.sessions.Sessions` over the identity stores of a server."""

    def __init__(self, stores: IdentityStores, authorizer: PolicyAuthorizer | None) -> None:
        """Without an authorizer everybody may do everything."""
        self._stores = stores
        self._authorizer = authorizer
        self._web_identities = WebIdentities(stores)

    async def assume_role(self, caller: Caller, request: Mapping[str, Any]) -> Issued:
        """A session of a role."""
        arn = request["RoleArn"]
        row, identity = self._role(caller, arn)
        if caller.who is not None and caller.who.kind == FEDERATED_USER:  # As on AWS, whatever its policies allow.
            raise _not_authorized(caller, "sts:AssumeRole", arn)
        if self._authorizer is not None:
            self._check_trust(caller, identity, row, request, self._authorizer)
        return self._of_role(identity, row, request, caller.who)

    def _of_role(
        self,
        identity: AccountIdentity,
        row: Row,
        request: Mapping[str, Any],
        who: Principal | None,
        provider: str = "",
    ) -> Issued:
        """A session of a role that may be assumed. `who` is the caller, whose tags may go on; None for the account, or
        a stranger for whom a provider vouches."""
        chained = who is not None and who.kind == ROLE_SESSION
        tags, transitive = _tags(request, who)
        seconds = request.get("DurationSeconds", USUAL_ROLE_SECONDS)
        if seconds > row["MaxSessionDuration"]:
            raise ValidationException("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
        if chained and seconds > LONGEST_CHAINED:
            raise ValidationException(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
            )
        name, role_id = request["RoleSessionName"], row["RoleId"]
        source = request.get("SourceIdentity") or ("" if who is None else who.source_identity)
        principal = Principal(
            ROLE_SESSION,
            f"arn:aws:sts::{identity.account}:assumed-role/{row['RoleName']}/{name}",
            f"{role_id}:{name}",
            role_id,
            policies=_policies(request),
            policy_arns=_arns(identity, request),
            tags=tags,
            transitive=transitive,
            issued=identity.now,
            source_identity=source,
            provider=provider,
        )
        return self._issued(identity, principal, seconds, request)

    def _role(self, caller: Caller, arn: str) -> tuple[Row, AccountIdentity]:
        """A role, and the store that it is in. To the caller it makes no difference whether it is there."""
        kind, _, path = arn.split(":", 5)[-1].partition("/")
        account = account_of(arn)
        identity = self._stores.of(account) if account.isdecimal() and kind == "role" else None
        row = None if identity is None else identity.row(ROLE.key(path.rpartition("/")[2]))
        if identity is None or row is None or ROLE.arn(account, row) != arn:
            raise _not_authorized(caller, "sts:AssumeRole", arn)
        return row, identity

    def _check_trust(
        self, caller: Caller, owner: AccountIdentity, row: Row, request: Mapping[str, Any], authorizer: PolicyAuthorizer
    ) -> None:
        """Raise AccessDeniedException unless the caller may assume the role in this way."""
        arn = request["RoleArn"]
        if authorizer.allows_everything(caller) and caller.principal == root(caller.account):
            raise AccessDeniedException("Roles may not be assumed by root accounts.")
        assert caller.who is not None
        subject = authorizer.subject(caller.account, caller.who)
        if subject is None:
            raise _not_authorized(caller, "sts:AssumeRole", arn)
        trust = trust_policy(row["AssumeRolePolicyDocument"], tuple(sorted(row["Trusted"].items())))
        for action in _actions("sts:AssumeRole", request):
            access = Access(action, arn, _context(request))
            values = authorizer.values(access, caller)
            # Whatever its own policies are, the caller must be trusted: they are taken for all that there could be.
            trusted = finish(prepare(self._unlimited(subject.identity), action, arn, trust, owner=""), values)
            decision = finish(prepare(subject.identity, action, arn, trust, owner=owner.account), values)
            if not (trusted.allowed and decision.allowed):
                raise _not_authorized(caller, action, arn)

    def _unlimited(self, identity: Identity) -> Identity:
        everything = managed(self._stores.of(identity.account), ADMINISTRATOR)
        assert everything is not None
        return replace(identity, policies=(everything,), boundary=None, session=None)

    async def web_identity(self, caller: Caller, request: Mapping[str, Any]) -> WebIssued:
        """A session of a role, for whom a web identity token is of."""
        self._stores.home.check_fresh()
        arn = request["RoleArn"]
        account = account_of(arn)
        identity = self._stores.of(account if account.isdecimal() else caller.account)
        who = await self._web_identities.verified(identity, caller, request["WebIdentityToken"])
        provider = f"arn:aws:iam::{identity.account}:oidc-provider/{who.issuer.removeprefix(SCHEME).rstrip('/')}"
        tags, transitive = who.session_tags()
        asked = {
            **request,
            **({"Tags": tags, "TransitiveTagKeys": transitive} if tags else {}),
            **({"SourceIdentity": who.source_identity} if who.source_identity else {}),
        }
        action = "sts:AssumeRoleWithWebIdentity"
        kind, _, path = arn.split(":", 5)[-1].partition("/")
        row = identity.row(ROLE.key(path.rpartition("/")[2])) if kind == "role" else None
        if row is None or ROLE.arn(account, row) != arn:
            raise _refused_to_web_identity(action, arn)
        if self._authorizer is not None:
            nobody = Identity(identity.account, "", provider=provider)
            trust = trust_policy(row["AssumeRolePolicyDocument"], tuple(sorted(row["Trusted"].items())))
            context = {**_context(asked), **who.context(), "aws:FederatedProvider": (provider,)}
            for one in _actions(action, asked):
                values = self._authorizer.values(Access(one, arn, context), caller._replace(account=identity.account))
                if applying(trust, nobody, one, arn, values, allows=False) or not applying(
                    trust, nobody, one, arn, values, allows=True
                ):
                    raise _refused_to_web_identity(one, arn)
        issued = self._of_role(identity, row, asked, None, provider)
        return WebIssued(issued, who.subject, who.audience, who.issuer)

    async def session_token(self, caller: Caller, request: Mapping[str, Any]) -> Issued:
        """A session of the caller, who may do in it what it may do anyway."""
        who = caller.who
        if caller.session is not None:
            raise AccessDeniedException("Cannot call GetSessionToken with session credentials")
        identity = await self._stores.founded(caller.account)
        seconds = request.get("DurationSeconds", USUAL_USER_SECONDS)
        if who is None:
            principal = Principal(A_USER, root(caller.account), caller.account, "", issued=identity.now)
            seconds = min(seconds, LONGEST_OF_ROOT)
        else:
            principal = who._replace(issued=identity.now)
        return self._issued(identity, principal, seconds, request)

    def of_user(self, identity: AccountIdentity, row: Row, seconds: int) -> Issued:
        """A session of a user who has signed in."""
        user_id = row["UserId"]
        principal = Principal(A_USER, USER.arn(identity.account, row), user_id, user_id, issued=identity.now)
        return self._issued(identity, principal, seconds, {})

    async def federation_token(self, caller: Caller, request: Mapping[str, Any]) -> Issued:
        """A session of somebody whom a user vouches for. It may do what both the user's policies and its own allow."""
        who = caller.who
        if caller.session is not None:
            raise AccessDeniedException("Cannot call GetFederationToken with session credentials")
        identity = await self._stores.founded(caller.account)
        name = request["Name"]
        tags, transitive = _tags(request, None)
        seconds = request.get("DurationSeconds", USUAL_USER_SECONDS)
        principal = Principal(
            FEDERATED_USER,
            f"arn:aws:sts::{caller.account}:federated-user/{name}",
            f"{caller.account}:{name}",
            "" if who is None else who.subject,
            policies=_policies(request) or (),
            policy_arns=_arns(identity, request),
            tags=tags,
            transitive=transitive,
            issued=identity.now,
        )
        seconds = min(seconds, LONGEST_OF_ROOT) if who is None else seconds
        return self._issued(identity, principal, seconds, request)

    def _issued(
        self, identity: AccountIdentity, principal: Principal, seconds: int, request: Mapping[str, Any]
    ) -> Issued:
        access_key, secret = new_access_key(identity.account, TEMPORARY), new_secret()
        expires = identity.now + seconds
        least = request.get("MinimumSessionTokenSize", 0)
        token = sealed(identity, principal, access_key, secret, expires, least)
        utilization = -(-100 * len(token) // LONGEST)
        if utilization > 100:
            raise PackedPolicyTooLargeException(
                f"Packed size of session tags consumes {utilization}% of allotted space."
                if principal.tags
                else f"Packed policy consumes {utilization}% of allotted space, please use smaller policy."
            )
        return Issued(principal, access_key, secret, token, expires, utilization)


def _not_authorized(caller: Caller, action: str, arn: str) -> AccessDeniedException:
    """AWS gives no reason here: it would show whether there is such a role."""
    error = AccessDeniedException(f"User: {caller.principal} is not authorized to perform: {action} on resource: {arn}")
    error.action, error.resource = action, arn
    return error


def _refused_to_web_identity(action: str, arn: str) -> AccessDeniedException:
    error = AccessDeniedException(f"Not authorized to perform {action}")
    error.action, error.resource = action, arn
    return error


def _actions(action: str, request: Mapping[str, Any]) -> list[str]:
    """What a role's trust policy must allow for a request: the action, and what else it does to the session."""
    actions = [action]
    if request.get("Tags"):
        actions.append("sts:TagSession")
    if "SourceIdentity" in request:
        actions.append("sts:SetSourceIdentity")
    return actions


def _context(request: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The condition keys of a request to assume a role."""
    found: dict[str, tuple[str, ...]] = {"sts:RoleSessionName": (request["RoleSessionName"],)}
    if "ExternalId" in request:
        found["sts:ExternalId"] = (request["ExternalId"],)
    if "SourceIdentity" in request:
        found["sts:SourceIdentity"] = (request["SourceIdentity"],)
    tags = request.get("Tags", ())
    if tags:
        found["aws:TagKeys"] = tuple(tag["Key"] for tag in tags)
        found |= {f"aws:RequestTag/{tag['Key']}": (tag["Value"],) for tag in tags}
    if request.get("TransitiveTagKeys"):
        found["sts:TransitiveTagKeys"] = tuple(request["TransitiveTagKeys"])
    return found


def _policies(request: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The session policy of a request. Raises MalformedPolicyDocumentException."""
    document = request.get("Policy")
    if document is None:
        return None
    checked_document(document)
    return (document,)


def _arns(identity: AccountIdentity, request: Mapping[str, Any]) -> tuple[str, ...]:
    """The managed policies that limit a session. Raises what refuses them."""
    arns = tuple(one["arn"] for one in request.get("PolicyArns", ()) if "arn" in one)
    if len(arns) > MOST_ARNS:
        raise ValidationException(f"Cannot exceed quota for PolicyArns: {MOST_ARNS}")
    for arn in arns:
        if policy_row(identity, arn) is None:
            raise MalformedPolicyDocumentException(f"Policy {arn} does not exist or is not attachable.")
    return arns


def _tags(request: Mapping[str, Any], who: Principal | None) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The tags of a session, and which of them go on: those of the request, and those that go on from the caller's
    session, which no request can change."""
    kept: Iterable[tuple[str, str]] = ()
    if who is not None:
        kept = [(key, value) for key, value in who.tags if key.lower() in who.transitive]
    try:
        given = entities.merged((), request.get("Tags", ()))
    except (InvalidInputException, LimitExceededException) as error:
        raise ValidationException(error.message) from None
    inherited = {key.lower() for key, _ in kept}
    for tag in given:
        if tag["Key"].lower() in inherited:
            raise ValidationException(
                f"One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
                f"from the calling session: {tag['Key']}"
            )
    transitive = {key.lower() for key in request.get("TransitiveTagKeys", ())}
    unknown = transitive - {tag["Key"].lower() for tag in given} - inherited
    if unknown:
        raise ValidationException("Transitive tag keys must be among the tags of the session.")
    together = (*kept, *((tag["Key"], tag["Value"]) for tag in given))
    return together, tuple(sorted(transitive | inherited))
