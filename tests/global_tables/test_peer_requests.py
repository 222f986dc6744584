"""Malformed requests of peers: each is answered, or refused with an error of the client's."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.aws.errors import ServiceError, ValidationException
from testing.global_tables.world import TABLE, A, B, World, key

MEMBERS_OF = {
    "Pull": ("Wait", "Tables"),
    "BeginCopy": ("TableName", "GroupId"),
    "CopyPage": ("TableName", "GroupId", "SourceId", "Cursor"),
    "Missing": ("TableName", "GroupId", "SourceId", "Keys"),
    "LookUp": ("TableName",),
    "Join": ("TableName", "Group", "KeySchema", "LocalSecondaryIndexes", "AttributeDefinitions"),
    "Leave": ("TableName", "Group", "Region", "Position"),
}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.lists(
    st.just(key("a")) | st.dictionaries(st.sampled_from("ps"), st.just({"S": "a"}) | JUNK) | JUNK, max_size=3
)
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "Wait": st.just(0),
    "TableName": st.sampled_from([TABLE, "", "another"]),
    "GroupId": st.just("group"),
    "SourceId": st.just("of the table"),
    "Cursor": st.none() | st.binary(max_size=30).map(bytes.hex),
    "Keys": KEYS,
    "Position": st.integers(),
    "GroupVersion": st.none() | st.text(max_size=3),
}
"""What a member may well be."""
ASKED = st.fixed_dictionaries({name: MEMBERS[name] | JUNK for name in ("GroupId", "Position", "GroupVersion")}).flatmap(
    lambda asked: st.just(asked | {"TableName": TABLE, "SourceId": None})
)


@pytest.mark.parametrize("operation", MEMBERS_OF)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_request_is_a_fault_of_ours(operation: str, data: st.DataObject) -> None:
    async def test() -> None:
        world = World(A, B)
        await world.make_tables(A, B)
        await world.replicate(A, B)
        table_id = (await world[A].table()).descriptor.id
        members = {name: MEMBERS.get(name, JUNK) for name in MEMBERS_OF[operation]}
        if operation == "Pull":
            members["Tables"] = st.lists(ASKED | JUNK, max_size=2)
        spoilt = data.draw(st.none() | st.sampled_from(sorted(members)))
        request = {name: data.draw(JUNK if name == spoilt else of) for name, of in members.items()}
        if request.get("SourceId") == "of the table":
            request["SourceId"] = table_id
        if "Wait" in request and isinstance(request["Wait"], int | float):
            request["Wait"] = 0
        with suppress(ServiceError):
            await world[A].ask(operation, **request)

    asyncio.run(test())


@pytest.mark.parametrize("where", ["the table", "a local index"])
def test_a_replica_without_a_key_is_refused(where: str) -> None:
    async def test() -> None:
        world = World(A, B)
        await world.make_tables(A, B)
        await world.replicate(A, B)
        descriptor = (await world[A].table()).descriptor
        local = {"IndexName": "by-x", "KeySchema": [], "Projection": {"ProjectionType": "ALL"}}
        with pytest.raises(ValidationException, match="KeySchema is not a list of 1 to 8 elements"):
            await world[B].ask(
                "Join",
                TableName="another",
                Group=descriptor.group,
                KeySchema=[] if where == "the table" else descriptor.key_schema,
                LocalSecondaryIndexes=[] if where == "the table" else [local],
                AttributeDefinitions=descriptor.attributes,
            )

    asyncio.run(test())
