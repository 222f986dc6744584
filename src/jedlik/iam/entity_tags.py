"""Tags of users, roles, policies and instance profiles: the same for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from jedlik.aws.context import Context
from jedlik.iam import entities, managed_policies
from jedlik.iam.entities import Request
from jedlik.iam.identity_rows import POLICY, Kind, Row
from jedlik.iam.identity_stores import AccountIdentity, Rows
from jedlik.iam.listings import page

Handler = Callable[[AccountIdentity, Context, Request], Awaitable[dict[str, Any] | None]]


def _key(identity: AccountIdentity, kind: Kind, request: Request) -> bytes:
    return managed_policies.own_key(identity, request["PolicyArn"]) if kind is POLICY else kind.key(request[kind.name])


def _read(rows: Rows, identity: AccountIdentity, kind: Kind, request: Request, key: bytes) -> Row:
    if kind is POLICY:
        return managed_policies.read(rows, identity, request["PolicyArn"], key)
    return entities.read(rows, kind, request[kind.name])


def tag(kind: Kind) -> Handler:
    """TagUser and its kin."""

    async def tag_entity(identity: AccountIdentity, context: Context, request: Request) -> None:
        key = _key(identity, kind, request)

        def decide(rows: Rows) -> None:
            row = _read(rows, identity, kind, request, key)
            rows.put(key, row | {"Tags": entities.merged(row.get("Tags", ()), request["Tags"])})

        await identity.change([key], decide)

    return tag_entity


def untag(kind: Kind) -> Handler:
    """UntagUser and its kin."""

    async def untag_entity(identity: AccountIdentity, context: Context, request: Request) -> None:
        key = _key(identity, kind, request)
        keys = {one.lower() for one in request["TagKeys"]}

        def decide(rows: Rows) -> None:
            row = _read(rows, identity, kind, request, key)
            rows.put(key, row | {"Tags": [one for one in row.get("Tags", ()) if one["Key"].lower() not in keys]})

        await identity.change([key], decide)

    return untag_entity


def list_(kind: Kind) -> Handler:
    """ListUserTags and its kin."""

    async def list_tags(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
        if kind is POLICY:
            row = managed_policies.loaded(identity, request["PolicyArn"])
        else:
            row = entities.loaded(identity, kind, request[kind.name])
        found = sorted((one["Key"], one) for one in row.get("Tags", ()))
        return page(request, "Tags", found)

    return list_tags
