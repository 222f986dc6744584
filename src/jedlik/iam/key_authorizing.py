"""The authorizer of KMS keys, over the identity stores of a server: `aws.key_authority.KeyAuthorizer`."""

from __future__ import annotations

from jedlik.aws.access import Access
from jedlik.aws.context import Caller
from jedlik.aws.errors import UnrecognizedClientException
from jedlik.aws.key_authority import IsGranted
from jedlik.aws.policies.evaluation import Asking, Identity
from jedlik.aws.policies.key_decisions import KeyDecision, decide_on_key
from jedlik.aws.policies.policy_documents import ANYBODY, Kind
from jedlik.iam.authorizing import PolicyAuthorizer, refusal
from jedlik.iam.identity_rows import ROLE
from jedlik.iam.identity_stores import ADMINISTRATOR, IdentityStores
from jedlik.iam.policy_checks import stored_policy
from jedlik.iam.subjects import managed

_ARN_PARTS = 6
_NAMED = ("user", "role", "assumed-role")
"""Principals that are deleted, and whose names may be given again."""


class KeyPolicyAuthorizer:
    """Decides by key policies, identities and grants."""

    def __init__(self, stores: IdentityStores, authorizer: PolicyAuthorizer) -> None:
        self._stores = stores
        self._authorizer = authorizer

    async def check_key(self, caller: Caller, access: Access, is_granted: IsGranted) -> None:
        """Raise AccessDeniedException unless an access to a key is allowed."""
        identity = self._identity_of(caller)
        found = self._decided(identity, caller, access)
        if found.decision.allowed:
            return
        if not found.decision.denied and found.with_grant.allowed and await is_granted(names_of(identity)):
            return
        raise refusal(caller, access, found.decision)

    def names(self, caller: Caller) -> frozenset[str]:
        """The names of a caller in grants: ARNs and unique ids."""
        return names_of(self._identity_of(caller))

    def is_principal(self, name: str) -> bool:
        """Whether a principal may be named: users and roles must exist."""
        parts = name.split(":", _ARN_PARTS - 1)
        if name == ANYBODY or len(parts) < _ARN_PARTS or parts[5].partition("/")[0] not in _NAMED:
            return True
        return self.unique_id(name) is not None

    def unique_id(self, name: str) -> str | None:
        """The unique id of the user or role that an ARN names, or of the role of a session."""
        parts = name.split(":", _ARN_PARTS - 1)
        if len(parts) < _ARN_PARTS:
            return None
        kind, _, rest = parts[5].partition("/")
        if kind == "assumed-role":
            row = self._stores.of(parts[4]).row(ROLE.key(rest.partition("/")[0]))
            return None if row is None else str(row[ROLE.id])
        return self._stores.of(parts[4]).unique_id_of(name) if kind in _NAMED else None

    def locks_out(self, caller: Caller, access: Access) -> bool:
        """Whether a key policy keeps a caller from an access to its key."""
        return not self._decided(self._identity_of(caller), caller, access).decision.allowed

    def _decided(self, identity: Identity, caller: Caller, access: Access) -> KeyDecision:
        policy = None if access.policy is None else stored_policy(access.policy, Kind.KEY)
        values = self._authorizer.values(access, caller)
        return decide_on_key(identity, access.action, access.resource, values, policy)

    def _identity_of(self, caller: Caller) -> Identity:
        """The caller with its policies; the account itself has those of an administrator."""
        if caller.who is not None:
            subject = self._authorizer.subject(caller.account, caller.who)
            if subject is None:
                raise UnrecognizedClientException("The security token included in the request is invalid.")
            return subject.identity
        everything = managed(self._stores.of(caller.account), ADMINISTRATOR)
        assert everything is not None
        return Identity(
            caller.account,
            caller.principal,
            Asking.ROOT,
            policies=(everything,),
            values={"aws:principalarn": (caller.principal,), "aws:principalaccount": (caller.account,)},
        )


def names_of(identity: Identity) -> frozenset[str]:
    """The ARNs by which a grant may name an identity, and its unique ids."""
    names = (identity.arn, identity.role_arn, identity.unique_id, identity.role_id)
    return frozenset(name for name in names if name)
