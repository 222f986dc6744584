"""Shared settings: once a table has adopted those of its group document, it has exactly these."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jedlik.dynamodb.model import descriptors, replicas, shared_settings
from jedlik.dynamodb.model.definitions import Descriptor, TableClass, stored_definitions
from testing.dynamodb import schemas

Document = dict[str, Any]

HERE, THERE = "us-east-1", "eu-west-1"
NOW = 1_700_000_000.5

UNITS = st.fixed_dictionaries({"ReadCapacityUnits": st.integers(0, 9), "WriteCapacityUnits": st.integers(0, 9)})
WARM = st.fixed_dictionaries({"ReadUnitsPerSecond": st.integers(1, 9), "WriteUnitsPerSecond": st.integers(1, 9)})
ON_DEMAND = st.fixed_dictionaries({}, optional={"OnDemandThroughput": st.just({"MaxReadRequestUnits": 5})})
DEFINITIONS = [{"AttributeName": name, "AttributeType": "S"} for name in "pxyz"]


@st.composite
def throughput(draw: st.DrawFn) -> Document:
    units = draw(UNITS) | {"NumberOfDecreasesToday": draw(st.integers(0, 4))}
    return {"ProvisionedThroughput": units, "WarmThroughput": draw(WARM)} | draw(ON_DEMAND)


@st.composite
def indexes(draw: st.DrawFn) -> list[Document]:
    """Global indexes, each on one of three attributes."""
    return [
        {
            "IndexName": name,
            "IndexNumber": number,
            "KeySchema": [{"AttributeName": draw(st.sampled_from("xyz")), "KeyType": "HASH"}],
            "Projection": {"ProjectionType": draw(st.sampled_from(["ALL", "KEYS_ONLY"]))},
            "IndexStatus": draw(st.sampled_from(["ACTIVE", "CREATING"])),
            **draw(throughput()),
        }
        for number, name in enumerate(draw(st.lists(st.sampled_from("abc"), unique=True)), 1)
    ]


@st.composite
def tables(draw: st.DrawFn, region: str) -> Descriptor:
    """A table's descriptor with any settings."""
    document: Document = {
        "TableName": "Music",
        "TableId": "01234567-89ab-cdef-0123-456789abcdef",
        "CreationDateTime": NOW,
        "TableArn": f"arn:aws:dynamodb:{region}:000000000000:table/Music",
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        "DeletionProtectionEnabled": draw(st.booleans()),
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        "NextIndexNumber": 9,
        **draw(throughput()),
    }
    if draw(st.booleans()):
        document["BillingModeSummary"] = {"BillingMode": draw(st.sampled_from(["PAY_PER_REQUEST", "PROVISIONED"]))}
    if draw(st.booleans()):
        status = draw(st.sampled_from(["ENABLING", "ENABLED", "DISABLED"]))
        document["TimeToLive"] = {"AttributeName": draw(st.sampled_from("tu")), "Status": status, "UpdatedAt": NOW}
    if draw(st.booleans()):
        arn = f"arn:aws:kms:{region}:000000000000:alias/aws/dynamodb"
        document["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": arn}
    document["TableClassSummary"] = {"TableClass": draw(st.sampled_from(["STANDARD", "STANDARD_INFREQUENT_ACCESS"]))}
    document["GlobalSecondaryIndexes"] = draw(indexes())
    if not document["GlobalSecondaryIndexes"]:
        del document["GlobalSecondaryIndexes"]
    used = [document["KeySchema"], *(index["KeySchema"] for index in document.get("GlobalSecondaryIndexes", ()))]
    document["AttributeDefinitions"] = stored_definitions(DEFINITIONS, used)
    return descriptors.descriptor_of(document)


@given(tables(HERE), tables(THERE))
def test_a_table_that_adopts_settings_has_them(theirs: Descriptor, ours: Descriptor) -> None:
    group = replicas.make("g", HERE, shared_settings.shared(theirs), NOW)
    taken = shared_settings.applied(replace(ours, group=group), NOW)
    assert shared_settings.shared(taken.table) == replicas.settings(group) == shared_settings.shared(theirs)
    again = shared_settings.applied(taken.table, NOW + 1)
    assert again == (taken.table, [], [], False, False)


@given(tables(HERE), tables(THERE))
def test_indexes_that_are_the_same_are_left_alone(theirs: Descriptor, ours: Descriptor) -> None:
    def of(table: Descriptor) -> dict[str, Any]:
        return {index.name: (index.key_schema, index.projection) for index in table.global_indexes}

    group = replicas.make("g", HERE, shared_settings.shared(theirs), NOW)
    taken = shared_settings.applied(replace(ours, group=group), NOW)
    same = {name for name, definition in of(ours).items() if of(theirs).get(name) == definition}
    numbers = {index.name: index.number for index in ours.global_indexes}
    after = {index.name: index.number for index in taken.table.global_indexes}
    assert {name: after[name] for name in same} == {name: numbers[name] for name in same}
    assert sorted(taken.gone_indexes) == sorted(numbers[name] for name in numbers.keys() - same)
    assert sorted(taken.new_indexes) == sorted(after[name] for name in after.keys() - same)
    assert set(taken.new_indexes).isdisjoint(numbers.values())


@given(tables(HERE), tables(HERE))
def test_a_local_change_is_noted_whole_and_once(before: Descriptor, after: Descriptor) -> None:
    group = replicas.make("g", HERE, shared_settings.shared(before), NOW)
    noted = shared_settings.noted(replace(after, group=group), NOW + 1)
    assert replicas.settings(noted.shared_group) == shared_settings.shared(after)
    protected = replicas.overrides(noted.shared_group, HERE).get("DeletionProtectionEnabled", False)
    assert protected == after.protected
    assert shared_settings.noted(noted, NOW + 2) == noted


def test_overrides_apply_in_their_region_only() -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    ordinary = schemas.table(global_={"by-x": ([("x", "S")], [])}).descriptor
    indexes = tuple(replace(index, provisioned=units) for index in ordinary.global_indexes)
    group = replicas.created(replicas.make("g", HERE, {}, NOW), THERE, HERE, HERE, NOW)
    overrides = {
        "ProvisionedThroughputOverride": {"ReadCapacityUnits": 7},
        "by-x/ProvisionedThroughputOverride": {"ReadCapacityUnits": 8},
        "TableClassOverride": "STANDARD_INFREQUENT_ACCESS",
    }
    group = replicas.with_overrides(group, THERE, overrides, HERE, NOW)

    def effective(region: str) -> Descriptor:
        arn = f"arn:aws:dynamodb:{region}:000000000000:table/Music"
        table = replace(ordinary, arn=arn, provisioned=units, global_indexes=indexes, group=group)
        return shared_settings.effective(table)

    assert effective(HERE).provisioned == units
    assert effective(HERE).table_class is None
    there = effective(THERE)
    assert there.provisioned == {"ReadCapacityUnits": 7, "WriteCapacityUnits": 5}
    assert there.global_indexes[0].provisioned["ReadCapacityUnits"] == 8
    assert there.table_class == TableClass("STANDARD_INFREQUENT_ACCESS")


def test_an_ordinary_table_is_left_alone() -> None:
    table = schemas.table().descriptor
    assert shared_settings.noted(table, NOW) is shared_settings.effective(table) is table
