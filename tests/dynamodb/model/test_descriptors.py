"""Descriptors are written as they were read, member by member and byte by byte, by this version and by later ones."""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.dynamodb.model import definitions, descriptors
from jedlik.dynamodb.model.definitions import AsStored, Descriptor
from testing.dynamodb.definitions import attributes, key_schema
from testing.source_tree import ROOT

FORMER_STORES = sorted((ROOT / "tests" / "upkeep" / "former_stores").rglob("*.tar.xz"))

UNITS = {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
WARM = {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000}
ON_DEMAND = {"MaxReadRequestUnits": 7}
ALL = {"ProjectionType": "ALL"}
LOCAL = {"IndexName": "local", "IndexNumber": 1, "KeySchema": key_schema("p", "x"), "Projection": ALL}
NEEDED: dict[str, Any] = {
    "TableName": "Music",
    "TableId": "01234567-89ab-cdef-0123-456789abcdef",
    "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Music",
    "CreationDateTime": 1_700_000_000.5,
    "KeySchema": key_schema("p", "s"),
    "DeletionProtectionEnabled": False,
    "NextIndexNumber": 3,
    "AttributeDefinitions": attributes(p="S", s="S", x="S"),
}
OPTIONAL: dict[str, Any] = {
    "LocalSecondaryIndexes": [LOCAL],
    "ProvisionedThroughput": UNITS,
    "OnDemandThroughput": ON_DEMAND,
    "WarmThroughput": WARM,
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "global",
            "IndexNumber": 2,
            "KeySchema": key_schema("x"),
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["n"]},
            "IndexStatus": "CREATING",
            "Backfilling": True,
            "ProvisionedThroughput": UNITS | {"LastIncreaseDateTime": 3.5},
            "OnDemandThroughput": ON_DEMAND,
            "WarmThroughput": WARM,
        }
    ],
    "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST", "LastUpdateToPayPerRequestDateTime": 2.5},
    "TableClassSummary": {"TableClass": "STANDARD", "LastUpdateDateTime": 1.5},
    "SSEDescription": {
        "Status": "ENABLED",
        "SSEType": "KMS",
        "KMSMasterKeyArn": "arn:aws:kms:a:b:key/c",
        "KeyOfAws": True,
        "InaccessibleEncryptionDateTime": 7.5,
        "Refusal": ["DisabledException", "arn:aws:kms:a:b:key/c is disabled."],
        "Reopened": 1700000160.5,
    },
    "KeyNumber": 3,
    "ArchivalSummary": {"ArchivalDateTime": 8.5, "ArchivalBackupArn": "arn:aws:dynamodb:a:b:c", "Done": True},
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    "LatestStreamLabel": "2023-11-14T22:13:20.500",
    "LatestStreamArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Music/stream/2023-11-14T22:13:20.500",
    "ChangeLog": {
        "OldImages": False,
        "NewImages": True,
        "Shards": [{"Number": 4, "Start": 0}],
        "Readers": [{"Name": "r", "OldImages": False, "NewImages": True, "Seconds": 60.0, "Temporary": True}],
    },
    "NextShardNumber": 5,
    "TimeToLive": {"AttributeName": "t", "Status": "ENABLED", "UpdatedAt": 4.5},
    "Replication": {
        "GroupId": "g",
        "Statuses": {"us-east-1": {"Version": [1, "us-east-1", 1, 5.5], "Value": {"Status": "ACTIVE", "Since": 5.5}}},
        "Overrides": {},
        "Settings": {},
    },
    "LeftBy": ["eu-west-1"],
    "ToldShards": 4,
    "DisassociationProtectionEnabled": False,
    "ImportedBy": "arn:aws:dynamodb:us-east-1:000000000000:table/Music/import/01700000000500-01234567",
    "RestoreSummary": {
        "SourceBackupArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Music/backup/01700000000500-01234567",
        "SourceTableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Music",
        "RestoreDateTime": 6.5,
        "RestoreInProgress": True,
    },
    "ResourcePolicy": {"Document": "{}", "RevisionId": "1", "StreamLabel": "none", "Bound": "{ }"},
    "StreamResourcePolicy": {
        "Document": "{}",
        "RevisionId": "2",
        "StreamLabel": "2026-11-28T11:33:03.279",
        "Bound": "{ }",
    },
}
"""Every member that there is besides, once."""
RECORDS = [
    definitions.Archived,
    definitions.AttachedPolicy,
    definitions.Billing,
    definitions.Descriptor,
    definitions.Encryption,
    definitions.Expiry,
    definitions.IndexDefinition,
    definitions.LogReader,
    definitions.LogSetting,
    definitions.OpenShard,
    definitions.Restored,
    definitions.StreamSetting,
    definitions.TableClass,
]
OPAQUE = {"KeySchema", "AttributeDefinitions", "Projection", "Replication"}
OPAQUE |= {"ProvisionedThroughput", "OnDemandThroughput", "WarmThroughput"}
"""Members whose value is kept as it is."""


def written(raw: bytes) -> bytes:
    return descriptors.serialize(descriptors.parse(raw).descriptor)


@st.composite
def disordered(draw: st.DrawFn, stored: dict[str, Any]) -> dict[str, Any]:
    """The same members in any order, with some between them that a later version may have."""
    members = list(stored.items())
    members += [(f"Later{n}", draw(st.integers(0, 9) | st.lists(st.text()))) for n in range(draw(st.integers(0, 2)))]
    found: dict[str, Any] = {}
    for name, value in draw(st.permutations(members)):
        inner = value
        if name not in OPAQUE and isinstance(value, dict):
            inner = draw(disordered(value))
        elif name not in OPAQUE and isinstance(value, list):
            inner = [draw(disordered(one)) if isinstance(one, dict) else one for one in value]
        found[name] = inner
    return found


@given(st.data(), st.sets(st.sampled_from(sorted(OPTIONAL))))
def test_a_descriptor_is_written_as_it_was_read(data: st.DataObject, there: set[str]) -> None:
    stored = data.draw(disordered(NEEDED | {name: OPTIONAL[name] for name in there}))
    raw = orjson.dumps(stored)
    assert written(raw) == raw


@pytest.mark.parametrize("path", FORMER_STORES, ids=lambda path: path.stem)
def test_the_descriptors_of_former_versions_are_written_as_they_were(path: Path) -> None:
    found = set()
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            content = file.read().decode("latin-1") if file is not None else ""
            for match in re.finditer(r'\{"TableName":"[^"]*","TableId"', content):
                try:
                    _, end = json.JSONDecoder().raw_decode(content, match.start())
                except ValueError:
                    continue  # What is left on a page of one that was longer.
                found.add(content[match.start() : end].encode("latin-1"))
    tables = {raw for raw in found if b'"NextIndexNumber"' in raw}
    assert tables
    for raw in tables:
        assert written(raw) == raw


def test_every_field_is_a_member() -> None:
    """What has no member would be lost. One of everything has each field set to something of its own."""
    everything = descriptors.descriptor_of(NEEDED | OPTIONAL)
    assert descriptors.document(everything) == NEEDED | OPTIONAL
    found: list[Any] = [everything, *everything.indexes, everything.billing, everything.encryption, everything.expiry]
    assert everything.log is not None
    found += [everything.log, *everything.log.shards, *everything.log.readers, everything.stream]
    found += [
        everything.table_class,
        everything.archived,
        everything.restored,
        everything.policy,
        everything.stream_policy,
    ]
    assert {type(record) for record in found} == set(RECORDS)
    for record in found:
        if record in everything.local_indexes:
            continue
        unset = {f.name for f in fields(record) if getattr(record, f.name) in (None, (), {})}
        assert unset == set(), record
        assert isinstance(record.as_stored, AsStored)


def test_what_is_new_stands_behind_what_was_there() -> None:
    stored = {"Later": 1} | NEEDED | {"TimeToLive": {"UpdatedAt": 4.5, "Status": "ENABLED", "AttributeName": "t"}}
    descriptor = descriptors.descriptor_of(stored)
    assert descriptor.expiry is not None
    off = replace(descriptor.expiry, status="DISABLED")
    changed: Descriptor = replace(descriptor, expiry=off, told_shards=2, next_index=4)
    expected = stored | {"NextIndexNumber": 4, "TimeToLive": stored["TimeToLive"] | {"Status": "DISABLED"}}
    assert descriptors.serialize(changed) == orjson.dumps(expected | {"ToldShards": 2})
    gone = replace(changed, expiry=None)
    assert descriptors.serialize(gone) == orjson.dumps(
        {name: value for name, value in (expected | {"ToldShards": 2}).items() if name != "TimeToLive"}
    )


@pytest.mark.parametrize("name", NEEDED)
def test_a_descriptor_without_what_each_has_is_refused(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        descriptors.descriptor_of({member: value for member, value in NEEDED.items() if member != name})
