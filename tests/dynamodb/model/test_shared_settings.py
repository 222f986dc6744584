"""Shared settings: whatever a table had, it has what its group document says once it has taken it over."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jedlik.dynamodb.model import replicas, shared_settings
from jedlik.dynamodb.model.definitions import key_schemas, stored_definitions
from jedlik.dynamodb.model.tables import Document

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
def documents(draw: st.DrawFn, region: str) -> Document:
    """A table's descriptor with any settings."""
    document: Document = {
        "TableName": "Music",
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
    document["AttributeDefinitions"] = stored_definitions(DEFINITIONS, key_schemas(document))
    return document


@given(documents(HERE), documents(THERE))
def test_a_table_that_takes_settings_over_has_them(theirs: Document, ours: Document) -> None:
    group = replicas.make("g", HERE, shared_settings.shared(theirs), NOW)
    taken = shared_settings.applied(ours | {"Replication": group}, NOW)
    assert shared_settings.shared(taken.document) == replicas.settings(group) == shared_settings.shared(theirs)
    again = shared_settings.applied(taken.document, NOW + 1)
    assert again == (taken.document, [], [], False)


@given(documents(HERE), documents(THERE))
def test_indexes_that_are_the_same_are_left_alone(theirs: Document, ours: Document) -> None:
    def of(document: Document) -> dict[str, Any]:
        return {i["IndexName"]: (i["KeySchema"], i["Projection"]) for i in document.get("GlobalSecondaryIndexes", ())}

    group = replicas.make("g", HERE, shared_settings.shared(theirs), NOW)
    taken = shared_settings.applied(ours | {"Replication": group}, NOW)
    same = {name for name, definition in of(ours).items() if of(theirs).get(name) == definition}
    numbers = {index["IndexName"]: index["IndexNumber"] for index in ours.get("GlobalSecondaryIndexes", ())}
    after = {index["IndexName"]: index["IndexNumber"] for index in taken.document.get("GlobalSecondaryIndexes", ())}
    assert {name: after[name] for name in same} == {name: numbers[name] for name in same}
    assert sorted(taken.gone_indexes) == sorted(numbers[name] for name in numbers.keys() - same)
    assert sorted(taken.new_indexes) == sorted(after[name] for name in after.keys() - same)
    assert set(taken.new_indexes).isdisjoint(numbers.values())


@given(documents(HERE), documents(HERE))
def test_a_local_change_is_noted_whole_and_once(before: Document, after: Document) -> None:
    group = replicas.make("g", HERE, shared_settings.shared(before), NOW)
    noted = shared_settings.noted(after | {"Replication": group}, NOW + 1)
    assert replicas.settings(noted["Replication"]) == shared_settings.shared(after)
    protected = replicas.overrides(noted["Replication"], HERE).get("DeletionProtectionEnabled", False)
    assert protected == after["DeletionProtectionEnabled"]
    assert shared_settings.noted(noted, NOW + 2) == noted


def test_overrides_are_laid_over_in_their_region_only() -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    index = {"IndexName": "by-x", "ProvisionedThroughput": units}
    group = replicas.created(replicas.make("g", HERE, {}, NOW), THERE, HERE, HERE, NOW)
    overrides = {
        "ProvisionedThroughputOverride": {"ReadCapacityUnits": 7},
        "by-x/ProvisionedThroughputOverride": {"ReadCapacityUnits": 8},
        "TableClassOverride": "STANDARD_INFREQUENT_ACCESS",
    }
    group = replicas.with_overrides(group, THERE, overrides, HERE, NOW)

    def effective(region: str) -> Document:
        arn = f"arn:aws:dynamodb:{region}:000000000000:table/Music"
        table = {"TableArn": arn, "ProvisionedThroughput": units, "GlobalSecondaryIndexes": [index]}
        return shared_settings.effective(table | {"Replication": group})

    assert effective(HERE)["ProvisionedThroughput"] == units
    assert "TableClassSummary" not in effective(HERE)
    there = effective(THERE)
    assert there["ProvisionedThroughput"] == {"ReadCapacityUnits": 7, "WriteCapacityUnits": 5}
    assert there["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"] == 8
    assert there["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}


def test_an_ordinary_table_is_left_alone() -> None:
    table = {"TableName": "Music"}
    assert shared_settings.noted(table, NOW) is shared_settings.effective(table) is table
