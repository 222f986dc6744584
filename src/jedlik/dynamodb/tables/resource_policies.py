"""PutResourcePolicy, GetResourcePolicy and DeleteResourcePolicy: who else may use a table or its stream.

A policy is part of the table's descriptor, so it goes with the table. A stream's belongs to the latest stream. Workers
keep descriptors; a change of a policy moves a counter of the store, at which each looks once a second (`catalog.look`).

Sources: "Using resource-based policies for DynamoDB" in the developer guide, and the API reference.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from jedlik.aws import private_ways
from jedlik.aws.context import Caller, Context
from jedlik.aws.errors import ValidationException
from jedlik.aws.policies import bound_policies
from jedlik.aws.policies.evaluation import Asking, Identity
from jedlik.aws.policies.policy_documents import Kind, Policy
from jedlik.aws.policies.policy_parser import MalformedPolicy, parsed
from jedlik.aws.policies.public_access import is_public, locks_out
from jedlik.dynamodb import catalog
from jedlik.dynamodb.errors import PolicyNotFoundException, ResourceNotFoundException
from jedlik.dynamodb.model.definitions import AttachedPolicy, Descriptor
from jedlik.dynamodb.model.limits import RESOURCE_POLICY_SIZE
from jedlik.dynamodb.tables import table_names
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

Request = dict[str, Any]

Changed = Callable[[AttachedPolicy | None], AttachedPolicy | None]

NO_POLICY = "NO_POLICY"
"""The expected revision of a resource without a policy."""
_ARN_PARTS = 6
_OWN_ACTIONS = ("dynamodb:PutResourcePolicy", "dynamodb:DeleteResourcePolicy")


async def put_resource_policy(context: Context, request: Request) -> dict[str, Any]:
    """Give a table or its latest stream a policy, in the place of the one that it has."""
    arn, document = request["ResourceArn"], request["Policy"]
    name, label = _resource(context.region, arn)
    policy = checked(document)
    if not request.get("ConfirmRemoveSelfResourceAccess", False):
        check_keeps_access(policy, context.caller, arn)
    revision, bound = new_revision(), bound_policies.bound(document)

    def changed(found: AttachedPolicy | None) -> AttachedPolicy:
        _check_expected(request.get("ExpectedRevisionId"), found)
        if found is not None and (found.document, found.bound) == (document, bound):
            return found
        return AttachedPolicy(document, revision, label, bound)

    found = await _change(context.region, name, label, arn, changed)
    assert found is not None
    return {"RevisionId": found.revision}


async def get_resource_policy(context: Context, request: Request) -> dict[str, Any]:
    """The policy of a table or its latest stream."""
    arn = request["ResourceArn"]
    name, label = _resource(context.region, arn)
    table = await catalog.find(context.region, name)
    found = None if table is None else _of(_has(table.descriptor, label, arn), label)
    if table is None:
        raise _not_found(arn)
    if found is None:
        raise PolicyNotFoundException(f"Resource-based policy not found for the provided ResourceArn: {arn}")
    return {"Policy": found.document, "RevisionId": found.revision}


async def delete_resource_policy(context: Context, request: Request) -> dict[str, Any]:
    """Take the policy away from a table or its latest stream. A missing one is no error, unless it was expected."""
    arn = request["ResourceArn"]
    name, label = _resource(context.region, arn)
    removed: list[str] = []

    def changed(found: AttachedPolicy | None) -> None:
        _check_expected(request.get("ExpectedRevisionId"), found)
        removed[:] = [] if found is None else [found.revision]

    await _change(context.region, name, label, arn, changed)
    return {"RevisionId": removed[0]} if removed else {}


def checked(document: str) -> Policy:
    """The policy in a document. Raises ValidationException."""
    if len(document.encode()) > RESOURCE_POLICY_SIZE:
        raise ValidationException(
            f"Resource policy exceeds the maximum size of {RESOURCE_POLICY_SIZE} bytes", bare=True
        )
    try:
        policy = parsed(document, Kind.RESOURCE)
    except MalformedPolicy as error:
        raise ValidationException(f"Invalid policy document: {error}", bare=True) from None
    if is_public(policy):
        raise ValidationException(
            "Invalid policy document: the policy allows public access, which is blocked", bare=True
        )
    return policy


def check_keeps_access(policy: Policy, caller: Caller, arn: str) -> None:
    """Raise ValidationException for a policy that keeps its author from changing it again."""
    who = caller.who
    unique_id = "" if who is None else who.unique_id
    values = private_ways.values_of(caller.way)
    identity = Identity(caller.account, caller.principal, Asking.USER, unique_id, values=values)
    if any(locks_out(policy, identity, action, arn) for action in _OWN_ACTIONS):
        raise ValidationException(
            "Invalid policy document: it would not allow you to change the policy again. "
            "Confirm this with ConfirmRemoveSelfResourceAccess",
            bare=True,
        )


def check_new(document: str, caller: Caller, arn: str) -> None:
    """Raise ValidationException for a policy that a new table cannot have."""
    check_keeps_access(checked(document), caller, arn)


def first(request: Request) -> AttachedPolicy | None:
    """The policy that a new table is created with."""
    document = request.get("ResourcePolicy")
    return None if document is None else AttachedPolicy(document, new_revision(), None, bound_policies.bound(document))


def new_revision() -> str:
    """The revision id of a new policy: like DynamoDB's, a number of milliseconds, and no two are the same."""
    return f"{time.time_ns() // 1_000_000}{secrets.randbelow(1000):03}"


def _check_expected(expected: str | None, found: AttachedPolicy | None) -> None:
    if expected is None:
        return
    current = NO_POLICY if found is None else found.revision
    if expected != current:
        raise PolicyNotFoundException("Resource-based policy not found for the provided RevisionId")


def _not_found(arn: str) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"Requested resource not found: ResourcArn: {arn} not found")


def _resource(region: Region, arn: str) -> tuple[str, str | None]:
    """The table in an ARN, and the label if it is a stream's."""
    parts = arn.split(":", _ARN_PARTS - 1)
    words = parts[-1].split("/")
    if len(parts) != _ARN_PARTS or parts[2] != "dynamodb" or words[0] != "table" or len(words) not in (2, 4):
        raise ValidationException(f"Invalid ResourceArn: {arn}", bare=True)
    table_names.check_account(parts[4], region.account)
    if parts[3] != region.name:
        raise ValidationException(f"1 validation error detected: Invalid AWS region in '{arn}'", bare=True)
    if len(words) == 2:
        return words[1], None
    if words[2] != "stream":
        raise ValidationException(f"Invalid ResourceArn: {arn}", bare=True)
    return words[1], words[3]


def _has(descriptor: Descriptor, label: str | None, arn: str) -> Descriptor:
    """The descriptor, if the table has the stream."""
    if label is not None and descriptor.stream_label != label:
        raise _not_found(arn)
    return descriptor


def _of(descriptor: Descriptor, label: str | None) -> AttachedPolicy | None:
    """The policy of a table, or of its latest stream: a former stream's does not hold for it."""
    if label is None:
        return descriptor.policy
    found = descriptor.stream_policy
    return found if found is not None and found.label == label else None


async def _change(region: Region, name: str, label: str | None, arn: str, changed: Changed) -> AttachedPolicy | None:
    """Change the policy of a table or its stream, in one step. `changed` is a function from the policy to the next."""

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, AttachedPolicy | None]:
        table = catalog.stored(values[0])
        if table is None or not table.usable:
            raise _not_found(arn)
        descriptor = _has(table.descriptor, label, arn)
        made: AttachedPolicy | None = changed(_of(descriptor, label))
        next_one = replace(descriptor, policy=made) if label is None else replace(descriptor, stream_policy=made)
        writes = Writes()
        catalog.put(next_one, writes)
        writes.add(catalog.POLICIES, 1)
        return writes, made

    found = await region.engine.mutate([catalog.key(name)], decide)
    await catalog.look(region)
    return found
