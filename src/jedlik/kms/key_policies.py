"""GetKeyPolicy, PutKeyPolicy and ListKeyPolicies: who may use and manage a key. A key has one policy, called `default`.

Sources: "Key policies in AWS KMS" and "Default key policy" in the developer guide; the API reference.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from jedlik.aws.access import Access
from jedlik.aws.key_authority import KeyAuthorizer
from jedlik.aws.policies import bound_policies
from jedlik.aws.policies.policy_documents import Kind
from jedlik.aws.policies.policy_parser import MalformedPolicy, parsed
from jedlik.kms.errors import LimitExceededException, MalformedPolicyDocumentException, NotFoundException
from jedlik.kms.key_finding import Asker, KeyAt, change
from jedlik.kms.key_names import Named
from jedlik.kms.key_permissions import values
from jedlik.kms.key_records import PENDING_DELETION, PENDING_REPLICA_DELETION, KmsKey, check_not

Request = dict[str, Any]
NAME = "default"
LARGEST = 32 * 1024
"""Bytes ("Resource quotas" in the developer guide)."""


def default(account: str) -> str:
    """The policy of a key for which none is given: it leaves everything to the account."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Id": "key-default-1",
            "Statement": [
                {
                    "Sid": "Enable IAM User Permissions",
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                    "Action": "kms:*",
                    "Resource": "*",
                }
            ],
        }
    )


class KeyPolicies:
    """The operations, and the check of a policy."""

    def __init__(self, authorizer: KeyAuthorizer) -> None:
        self._authorizer = authorizer

    async def get_key_policy(self, at: KeyAt, request: Request) -> Request:
        """The policy of a key."""
        _check_name(request)
        return {"Policy": at.key.policy, "PolicyName": NAME}

    async def list_key_policies(self, at: KeyAt, request: Request) -> Request:
        """The names of a key's policies."""
        return {"PolicyNames": [NAME], "Truncated": False}

    async def put_key_policy(self, at: KeyAt, request: Request) -> None:
        """Give a key another policy."""
        _check_name(request)
        document = request["Policy"]
        self.check(document, at.asker, Named(at.region.account, at.region.name, at.key.id), at.key, request)

        bound = self.bound(document)

        def changed(key: KmsKey) -> KmsKey:
            check_not(key, at.arn, at.now, PENDING_DELETION, PENDING_REPLICA_DELETION)
            return replace(key, policy=document, bound=bound)

        await change(at, changed)

    def bound(self, document: str) -> str | None:
        """A policy that was checked, with unique ids in the place of the ARNs of users and roles; None if it names
        none."""
        return bound_policies.bound(document, self._authorizer.unique_id)

    def check(self, document: str, asker: Asker, named: Named, key: KmsKey | None, request: Request) -> None:
        """Raise LimitExceededException and MalformedPolicyDocumentException for what cannot be the policy of a key."""
        if len(document.encode()) > LARGEST:
            raise LimitExceededException(f"A key policy must not be larger than {LARGEST} bytes")
        try:
            policy = parsed(document, Kind.KEY)
        except MalformedPolicy as error:
            raise MalformedPolicyDocumentException(str(error)) from None
        named_there = {name for one in policy.statements if one.principals is not None for name in one.principals.aws}
        if not all(self._authorizer.is_principal(name) for name in named_there):
            raise MalformedPolicyDocumentException("Policy contains a statement with one or more invalid principals.")
        if request.get("BypassPolicyLockoutSafetyCheck", False):
            return
        known = values(key, named, asker.caller.account, asker.via, {})
        access = Access("kms:PutKeyPolicy", named.arn, known, document)
        if self._authorizer.locks_out(asker.caller, access):
            raise MalformedPolicyDocumentException(
                "The new key policy will not allow you to update the key policy in the future."
            )


def _check_name(request: Request) -> None:
    if request.get("PolicyName", NAME) != NAME:
        raise NotFoundException("No such policy exists")
