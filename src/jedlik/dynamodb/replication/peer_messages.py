"""Messages between regions: the form of every request to another region, and of every answer.

Rules that a form cannot express are checked where the message is used: items and keys as a client's are
(`remote_changes.check`), positions against those before (`peer_answers`), and whole group documents
(`group_documents`).
"""

from __future__ import annotations

from jedlik.dynamodb.model.limits import (
    GLOBAL_INDEXES,
    INDEX_KEY_ATTRIBUTES,
    LOCAL_INDEXES,
    PROJECTED_ATTRIBUTES,
    TABLES,
)
from jedlik.dynamodb.replication.forms import (
    Form,
    anything,
    each,
    exactly,
    flag,
    mapping,
    maybe,
    members,
    number,
    one_of,
    whole,
)
from jedlik.dynamodb.replication.forms import text as text_of

KEYS_AT_ONCE = 1000
"""The most keys in one Missing request."""
TABLES_AT_ONCE = TABLES
"""The most tables in one Pull: as many as a region may have, so no region needs more."""

_REGIONS = 100
"""More replicas than a table can have: AWS has fewer regions."""
_REGISTERS = 5000
"""The most members of a kind in a group document. Each index that a table has ever had leaves two."""
_LAST_POSITION = (1 << 63) - 1
_LONGEST_KEY = 1978
"""Bytes of a storage key (`lmdb.lmdb_engine`)."""
_YEAR_9999 = 253_402_300_799
_UNITS = (1 << 63) - 1
_LONGEST_ATTRIBUTE = 255
"""Characters of the name of an attribute that is in a key."""
_KEYS = 2
"""Attributes of a table's key."""
KEY_PARTS = INDEX_KEY_ATTRIBUTES
INDEXES = 4 * GLOBAL_INDEXES
"""Global indexes of a table. Regions that add some at once may exceed the limit of a table for a while."""
_CHANGES = 20_000
"""The most entries in one answer. A Pull ends after a megabyte of log entries, each of which takes at least 60
bytes."""

TIME = number(0, _YEAR_9999)
"""Seconds since the epoch."""
POSITION = whole(0, _LAST_POSITION)
TABLE_NAME = text_of(255, "[a-zA-Z0-9_.-]+", 3)
INDEX_NAME = TABLE_NAME
REGION_NAME = text_of(64, "[A-Za-z0-9_-]+", 1)
ID = text_of(64, shortest=1)
"""A table's, or a group's."""
CURSOR = text_of(2 * _LONGEST_KEY + 2, "([0-9a-f]{2})+")
_ATTRIBUTE = text_of(_LONGEST_ATTRIBUTE, shortest=1)
_KEY = mapping(anything, anything, _KEYS)

# The document of a group


_CLOCK = POSITION
_VERSION = exactly(_CLOCK, REGION_NAME)
_WHOLE_UNITS = whole(0, _UNITS)
_LIMITED_UNITS = whole(-1, _UNITS)
_WARM = members({}, {"ReadUnitsPerSecond": _WHOLE_UNITS, "WriteUnitsPerSecond": _WHOLE_UNITS})
_READ_UNITS = {"ReadCapacityUnits": _WHOLE_UNITS}
_ON_DEMAND = members({}, {"MaxReadRequestUnits": _LIMITED_UNITS, "MaxWriteRequestUnits": _LIMITED_UNITS})
_CAPACITY = {**_READ_UNITS, "WriteCapacityUnits": _WHOLE_UNITS}
_TABLE_CLASS = one_of("STANDARD", "STANDARD_INFREQUENT_ACCESS")

STATUS = members(
    {"Status": one_of("CREATING", "ACTIVE", "DELETING", "DELETED"), "Since": TIME},
    {"Source": REGION_NAME, "Existing": flag, "Kept": flag, "Disassociated": flag},
)

KEY_SCHEMA = each(
    members({"AttributeName": _ATTRIBUTE, "KeyType": one_of("HASH", "RANGE")}), 2 * INDEX_KEY_ATTRIBUTES, least=1
)
ATTRIBUTE_DEFINITIONS = each(
    members({"AttributeName": _ATTRIBUTE, "AttributeType": one_of("S", "N", "B")}),
    _KEYS + LOCAL_INDEXES + INDEXES * 2 * INDEX_KEY_ATTRIBUTES,
)
PROJECTION = members(
    {"ProjectionType": one_of("ALL", "KEYS_ONLY", "INCLUDE")},
    {"NonKeyAttributes": each(_ATTRIBUTE, PROJECTED_ATTRIBUTES)},
)

SETTINGS: dict[str, Form] = {
    "Throughput": members(
        {**_CAPACITY, "BillingMode": one_of("PROVISIONED", "PAY_PER_REQUEST")}, {"OnDemand": _ON_DEMAND}
    ),
    "WarmThroughput": _WARM,
    "StreamViewType": one_of("NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"),
    "TimeToLive": maybe(_ATTRIBUTE),
    "Encryption": maybe(one_of("AWS", "CUSTOMER")),
    "TableClass": maybe(_TABLE_CLASS),
}
"""The settings that replicas share (`shared_settings`), except those of indexes."""
INDEX_SETTINGS: dict[str, Form] = {
    "Index": maybe(
        members({"KeySchema": KEY_SCHEMA, "Projection": PROJECTION, "AttributeDefinitions": ATTRIBUTE_DEFINITIONS})
    ),
    "IndexThroughput": maybe(members({**_CAPACITY, "Warm": _WARM}, {"OnDemand": _ON_DEMAND})),
}
"""Those of each index."""
OVERRIDES: dict[str, Form] = {
    "ProvisionedThroughputOverride": maybe(members(_READ_UNITS)),
    "OnDemandThroughputOverride": maybe(members({"MaxReadRequestUnits": _LIMITED_UNITS})),
    "TableClassOverride": maybe(_TABLE_CLASS),
    "KMSMasterKeyId": maybe(text_of(2048, shortest=1)),
    "DeletionProtectionEnabled": maybe(flag),
    "InaccessibleSince": maybe(TIME),
}
"""The overrides that a replica, and an index of it, may have."""


def _registers(form: Form, version: Form = _VERSION) -> Form:
    return mapping(text_of(2 * 255 + 64), members({"Version": version, "Value": form}), _REGISTERS)


GROUP = members(
    {
        "GroupId": ID,
        "Statuses": mapping(
            REGION_NAME,
            members({"Version": exactly(_CLOCK, REGION_NAME, whole(0, 3), TIME), "Value": STATUS}),
            _REGIONS,
        ),
        "Overrides": _registers(anything),
        "Settings": _registers(anything),
    }
)
"""The group document. `group_documents` checks which settings and overrides it has."""

# Requests

_OF_TABLE = {"TableName": TABLE_NAME, "GroupId": ID}
_ASKED = members(
    {
        **_OF_TABLE,
        "Position": POSITION,
        "SourceId": maybe(ID),
        "GroupVersion": maybe(text_of(64)),
    }
)

REQUESTS: dict[str, Form] = {
    "Pull": members({"Wait": number(0, 60), "Tables": each(_ASKED, TABLES_AT_ONCE)}),
    "BeginCopy": members(_OF_TABLE),
    "CopyPage": members({**_OF_TABLE, "SourceId": ID, "Cursor": maybe(CURSOR)}),
    "Missing": members({**_OF_TABLE, "SourceId": ID, "Keys": each(_KEY, KEYS_AT_ONCE)}),
    "LookUp": members({"TableName": TABLE_NAME}),
    "Join": members(
        {
            "TableName": TABLE_NAME,
            "Group": GROUP,
            "KeySchema": KEY_SCHEMA,
            "LocalSecondaryIndexes": each(
                members(
                    {"IndexName": INDEX_NAME, "KeySchema": KEY_SCHEMA, "Projection": PROJECTION},
                    {"IndexNumber": whole(1, LOCAL_INDEXES)},
                ),
                LOCAL_INDEXES,
            ),
            "AttributeDefinitions": ATTRIBUTE_DEFINITIONS,
        }
    ),
    "Leave": members({"TableName": TABLE_NAME, "Group": GROUP, "Region": REGION_NAME, "Position": POSITION}),
}

# Answers

_CHANGE = {"Version": text_of(32, "[0-9a-f]{32}"), "At": TIME, "Keys": _KEY}
_CHANGE_OPTIONS: dict[str, Form] = {"Again": flag, "Item": anything}
_OF_PEER = {"SourceId": maybe(ID), "Position": POSITION, "Covered": TIME}

ANSWERS: dict[str, Form] = {
    # Each table of a Pull is checked by itself (`TABLE_NEWS`): a fault in one must not hold up the others.
    "Pull": members({"Now": TIME, "Full": flag, "Tables": each(mapping(anything, anything, 8), TABLES_AT_ONCE)}),
    "BeginCopy": members(
        {
            "Now": TIME,
            "SourceId": ID,
            "Position": POSITION,
            "Checkpoints": mapping(REGION_NAME, members(_OF_PEER), _REGIONS),
        }
    ),
    "CopyPage": members({"Changes": each(members(_CHANGE, _CHANGE_OPTIONS), _CHANGES), "Cursor": maybe(CURSOR)}),
    "Missing": members({"Missing": each(flag, KEYS_AT_ONCE)}),
    "LookUp": members(
        {
            "Table": maybe(
                members(
                    {
                        "KeySchema": KEY_SCHEMA,
                        "StreamSpecification": maybe(
                            members({}, {"StreamEnabled": flag, "StreamViewType": SETTINGS["StreamViewType"]})
                        ),
                        "Indexes": mapping(INDEX_NAME, KEY_SCHEMA, LOCAL_INDEXES + INDEXES),
                        "ItemCount": whole(0, _UNITS),
                        "IsReplica": flag,
                        "DeletionProtectionEnabled": flag,
                    }
                )
            )
        }
    ),
    "Join": members({}),
    "Leave": members({"Gone": flag}),
}

_SAME: dict[str, Form] = {"TableName": TABLE_NAME, "SourceId": ID}
GONE = members({"TableName": TABLE_NAME, "Gone": one_of(True)})
COPY_AGAIN = members({**_SAME, "CopyAgain": one_of(True)}, {"Group": GROUP})
TABLE_NEWS = members(
    {
        **_SAME,
        "Entries": each(members({**_CHANGE, "Position": POSITION}, _CHANGE_OPTIONS), _CHANGES),
        "Position": POSITION,
        "More": flag,
    },
    {"Group": GROUP},
)
"""A Pull's answer about one table is one of these three."""
