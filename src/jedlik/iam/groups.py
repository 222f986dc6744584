"""Groups, and who is in them. A user's row has the unique ids of its groups; a group's counts its users."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jedlik.aws.context import Context
from jedlik.iam import entities
from jedlik.iam.entities import MOST_GROUPS, Request
from jedlik.iam.errors import DeleteConflictException
from jedlik.iam.identity_rows import GROUP, USER, Row
from jedlik.iam.identity_stores import AccountIdentity, Rows
from jedlik.iam.listings import page


async def create_group(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """Make a group."""
    name = request["GroupName"]
    row: Row = {
        "Path": request.get("Path", "/"),
        "GroupName": name,
        "GroupId": GROUP.new_id(),
        "CreateDate": identity.now,
        "Members": 0,
    }
    await identity.change([GROUP.key(name), GROUP.count], lambda rows: entities.create(rows, GROUP, row))
    return {"Group": entities.shown(identity.account, GROUP, row)}


async def get_group(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """A group, with its users."""
    row = entities.loaded(identity, GROUP, request["GroupName"])
    users = page(
        request,
        "Users",
        members(identity, row["GroupId"]),
        lambda user: entities.shown(identity.account, USER, user, is_listed=True),
    )
    return {"Group": entities.shown(identity.account, GROUP, row), **users}


def members(identity: AccountIdentity, group_id: str) -> Iterable[tuple[str, Row]]:
    """The users of a group, in order, each with its name."""
    return ((name, user) for name, user in entities.listed(identity, USER, {}) if group_id in user.get("Groups", []))


async def list_groups(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """The groups under a path."""
    found = entities.listed(identity, GROUP, request)
    return page(request, "Groups", found, lambda row: entities.shown(identity.account, GROUP, row, is_listed=True))


async def update_group(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Give a group another name or path."""
    name = request["GroupName"]
    new = request.get("NewGroupName", name)

    def decide(rows: Rows) -> None:
        entities.rename(rows, GROUP, entities.read(rows, GROUP, name), new, request.get("NewPath"))

    await identity.change(list(dict.fromkeys((GROUP.key(name), GROUP.key(new)))), decide)


async def delete_group(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Delete a group without users and policies."""
    name = request["GroupName"]

    def decide(rows: Rows) -> None:
        row = entities.read(rows, GROUP, name)
        if row["Members"]:
            raise DeleteConflictException("Cannot delete entity, must remove users from group first.")
        entities.refuse_policies(row)
        entities.remove(rows, GROUP, row)

    await identity.change([GROUP.key(name)], decide)


async def add_user_to_group(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Put a user into a group; one who is in it stays."""
    name, user_name = request["GroupName"], request["UserName"]

    def decide(rows: Rows) -> None:
        group, user = entities.read(rows, GROUP, name), entities.read(rows, USER, user_name)
        groups = user.get("Groups", [])
        if group["GroupId"] in groups:
            return
        entities.check_quota("GroupsPerUser", MOST_GROUPS, len(groups))
        rows.put(USER.key(user_name), user | {"Groups": [*groups, group["GroupId"]]})
        rows.put(GROUP.key(name), group | {"Members": group["Members"] + 1})

    await identity.change([GROUP.key(name), USER.key(user_name)], decide)


async def remove_user_from_group(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Take a user out of a group."""
    name, user_name = request["GroupName"], request["UserName"]

    def decide(rows: Rows) -> None:
        group, user = entities.read(rows, GROUP, name), entities.read(rows, USER, user_name)
        groups = user.get("Groups", [])
        if group["GroupId"] not in groups:
            raise entities.missing(USER, user_name)
        rows.put(USER.key(user_name), user | {"Groups": [one for one in groups if one != group["GroupId"]]})
        rows.put(GROUP.key(name), group | {"Members": group["Members"] - 1})

    await identity.change([GROUP.key(name), USER.key(user_name)], decide)
