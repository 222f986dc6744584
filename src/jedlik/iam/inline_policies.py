"""Inline policies of users, groups and roles: the same for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from jedlik.aws.context import Context
from jedlik.iam import entities
from jedlik.iam.entities import Request
from jedlik.iam.errors import LimitExceededException, NoSuchEntityException
from jedlik.iam.identity_rows import GROUP, ROLE, USER, Kind, Row
from jedlik.iam.identity_stores import AccountIdentity, Rows
from jedlik.iam.listings import page
from jedlik.iam.policy_checks import checked_document

Handler = Callable[[AccountIdentity, Context, Request], Awaitable[dict[str, Any] | None]]

MOST_TOGETHER = {USER.letter: 2048, GROUP.letter: 5120, ROLE.letter: 10240}
"""Characters of all inline policies of one, without white space ("IAM and AWS STS quotas")."""


def _missing(kind: Kind, name: str) -> NoSuchEntityException:
    return NoSuchEntityException(f"The {kind.title.lower()} policy with name {name} cannot be found.")


def put(kind: Kind) -> Handler:
    """PutUserPolicy and its kin."""

    async def put_policy(identity: AccountIdentity, context: Context, request: Request) -> None:
        name, policy_name, document = request[kind.name], request["PolicyName"], request["PolicyDocument"]
        entities.loaded(identity, kind, name)
        checked_document(document)
        most = MOST_TOGETHER[kind.letter]

        def decide(rows: Rows) -> None:
            row = entities.read(rows, kind, name)
            policies = row.get("Inline", {}) | {policy_name: document}
            if sum(map(entities.size, policies.values())) > most:
                raise LimitExceededException(
                    f"Maximum policy size of {most} bytes exceeded for {kind.title.lower()} {name}"
                )
            rows.put(kind.key(name), row | {"Inline": policies})

        await identity.change([kind.key(name)], decide)

    return put_policy


def get(kind: Kind) -> Handler:
    """GetUserPolicy and its kin."""

    async def get_policy(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
        row = entities.loaded(identity, kind, request[kind.name])
        document = row.get("Inline", {}).get(request["PolicyName"])
        if document is None:
            raise _missing(kind, request["PolicyName"])
        return {
            kind.name: row[kind.name],
            "PolicyName": request["PolicyName"],
            "PolicyDocument": entities.quoted(document),
        }

    return get_policy


def list_(kind: Kind) -> Handler:
    """ListUserPolicies and its kin."""

    async def list_policies(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
        row = entities.loaded(identity, kind, request[kind.name])
        return page(request, "PolicyNames", [(name, name) for name in sorted(row.get("Inline", {}))])

    return list_policies


def delete(kind: Kind) -> Handler:
    """DeleteUserPolicy and its kin."""

    async def delete_policy(identity: AccountIdentity, context: Context, request: Request) -> None:
        name, policy_name = request[kind.name], request["PolicyName"]

        def decide(rows: Rows) -> None:
            row: Row = entities.read(rows, kind, name)
            rest = dict(row.get("Inline", {}))
            if rest.pop(policy_name, None) is None:
                raise _missing(kind, policy_name)
            rows.put(kind.key(name), row | {"Inline": rest})

        await identity.change([kind.key(name)], decide)

    return delete_policy
