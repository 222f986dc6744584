"""Shared settings: what the replicas of a global table have in common, and how a region takes it over.

A descriptor holds settings in the form in which one region shows them; the group document (`replicas`) holds them in a
form that means the same in every region: without statuses, dates, index numbers and ARNs. `shared` puts a descriptor
into that form, `noted` writes into the group document what a local change has made of it, and `applied` makes a
descriptor of what another region has changed. In a replica the two always agree.

Shared are billing mode and throughput, warm throughput, global indexes, time to live, the kind of encryption, the table
class and the view type of the stream. Deletion protection and tags are each replica's own, and so are the overrides of
read capacity, table class and KMS key, which `effective` lays over a description.

Source: "Settings synchronization" of global tables in the developer guide.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jedlik.dynamodb.model import replicas
from jedlik.dynamodb.model.definitions import stored_definitions, with_index, without_index
from jedlik.dynamodb.model.tables import PAY_PER_REQUEST, Document, billing_mode

Settings = dict[str, Any]
"""By name: those of the table, and `INDEX` and `INDEX_THROUGHPUT` followed by a global index's name."""

INDEX = "Index/"
INDEX_THROUGHPUT = "IndexThroughput/"
AWS_KEY = "alias/aws/dynamodb"
"""The key with which DynamoDB encrypts when it is not given one; each region has its own."""


class Applied(NamedTuple):
    """A descriptor that has taken settings over, and what remains to be done in the background."""

    document: Document
    new_indexes: list[int]
    """Numbers of indexes that must be filled."""
    gone_indexes: list[int]
    """Numbers of indexes whose entries must be removed."""
    expiry_changed: bool
    """Whether notes of expiry must be written or cleared."""


def shared(document: Document) -> Settings:
    """A table's shared settings, in the form that means the same in every region."""
    settings: Settings = {
        "Throughput": _throughput(document) | {"BillingMode": billing_mode(document)},
        "WarmThroughput": document["WarmThroughput"],
        "StreamViewType": document["StreamSpecification"]["StreamViewType"],
    }
    if _expires(document.get("TimeToLive")):
        settings["TimeToLive"] = document["TimeToLive"]["AttributeName"]
    if "SSEDescription" in document:
        aws = document["SSEDescription"]["KMSMasterKeyArn"].endswith(AWS_KEY)
        settings["Encryption"] = "AWS" if aws else "CUSTOMER"
    if "TableClassSummary" in document:
        settings["TableClass"] = document["TableClassSummary"]["TableClass"]
    for index in document.get("GlobalSecondaryIndexes", ()):
        settings[INDEX + index["IndexName"]] = _definition(index, document)
        settings[INDEX_THROUGHPUT + index["IndexName"]] = _throughput(index) | {"Warm": index["WarmThroughput"]}
    return settings


def noted(document: Document, now: float) -> Document:
    """A descriptor after a local change, with the change in its group document; an ordinary table's as it is."""
    if "Replication" not in document:
        return document
    group, region = document["Replication"], replicas.region_of(document)
    current = shared(document)
    gone = dict.fromkeys(replicas.settings(group).keys() - current.keys())
    group = replicas.with_settings(group, current | gone, region, now)
    return document | {"Replication": replicas.with_overrides(group, region, _own(document), region, now)}


def applied(document: Document, now: float) -> Applied:
    """A descriptor that has taken over the settings of its group document."""
    wanted = replicas.settings(document["Replication"])
    document = _with_throughput(document, wanted["Throughput"], now)
    document = document | {"WarmThroughput": wanted["WarmThroughput"]}
    document, expiry_changed = _with_expiry(document, wanted.get("TimeToLive"), now)
    document = _with_encryption(document, wanted.get("Encryption"))
    document = _with_table_class(document, wanted.get("TableClass"), now)
    document, new, gone = _with_indexes(document, wanted)
    return Applied(document, new, gone, expiry_changed)


def effective(document: Document) -> Document:
    """A replica's descriptor with its overrides in place of what they override; an ordinary table's as it is."""
    if "Replication" not in document:
        return document
    overrides = replicas.overrides(document["Replication"], replicas.region_of(document))
    document = _overridden(document, overrides, "")
    if "TableClassOverride" in overrides:
        document = document | {"TableClassSummary": {"TableClass": overrides["TableClassOverride"]}}
    if "GlobalSecondaryIndexes" in document:
        indexes = [_overridden(i, overrides, f"{i['IndexName']}/") for i in document["GlobalSecondaryIndexes"]]
        document = document | {"GlobalSecondaryIndexes": indexes}
    return document


def key_arn(key: str | None, region: str, account: str) -> str:
    """The ARN of a KMS key that is given as ARN, alias or id; of the service's own key if none is given."""
    if key is None:
        key = AWS_KEY
    if key.startswith("arn:"):
        return key
    resource = key if key.startswith("alias/") else f"key/{key}"
    return f"arn:aws:kms:{region}:{account}:{resource}"


def replica_key_arn(document: Document, region: str) -> str | None:
    """The ARN of the KMS key of one of a table's replicas; None when its encryption is the one that every table has."""
    group = document["Replication"]
    kind = replicas.settings(group).get("Encryption")
    if kind is None:
        return None
    key = replicas.overrides(group, region).get("KMSMasterKeyId") if kind == "CUSTOMER" else None
    return key_arn(key, region, document["TableArn"].split(":")[4])


# From a descriptor


def _own(document: Document) -> Settings:
    """What other replicas must know of this one: whether it may be deleted, and its KMS key if it is the customer's."""
    arn = document.get("SSEDescription", {}).get("KMSMasterKeyArn", AWS_KEY)
    return {
        "DeletionProtectionEnabled": document["DeletionProtectionEnabled"] or None,
        "KMSMasterKeyId": None if arn.endswith(AWS_KEY) else arn,
    }


def _throughput(of: Document) -> Settings:
    """Provisioned and on-demand throughput of a table or an index, without dates."""
    units = of["ProvisionedThroughput"]
    found = {unit: units[unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits")}
    return found | ({"OnDemand": of["OnDemandThroughput"]} if "OnDemandThroughput" in of else {})


def _expires(setting: Settings | None) -> bool:
    return setting is not None and setting["Status"] in ("ENABLING", "ENABLED")


def _definition(index: Document, document: Document) -> Settings:
    return {
        "KeySchema": index["KeySchema"],
        "Projection": index["Projection"],
        "AttributeDefinitions": stored_definitions(document["AttributeDefinitions"], [index["KeySchema"]]),
    }


# To a descriptor


def _with_throughput(document: Document, wanted: Settings, now: float) -> Document:
    document = _with_units(document, wanted)
    mode = wanted["BillingMode"]
    if mode == billing_mode(document):
        return document
    summary = document.get("BillingModeSummary", {}) | {"BillingMode": mode}
    if mode == PAY_PER_REQUEST:
        summary["LastUpdateToPayPerRequestDateTime"] = now
    return document | {"BillingModeSummary": summary}


def _with_units(of: Document, wanted: Settings) -> Document:
    units = {unit: wanted[unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits")}
    changed = {name: value for name, value in of.items() if name != "OnDemandThroughput"}
    changed["ProvisionedThroughput"] = {"NumberOfDecreasesToday": 0} | of.get("ProvisionedThroughput", {}) | units
    return changed | ({"OnDemandThroughput": wanted["OnDemand"]} if "OnDemand" in wanted else {})


def _with_expiry(document: Document, attribute: str | None, now: float) -> tuple[Document, bool]:
    """The document with another time to live, and whether it is another."""
    setting = document.get("TimeToLive")
    current = setting["AttributeName"] if setting is not None and _expires(setting) else None
    if attribute == current:
        return document, False
    # Notes of another attribute, should there be any, go when they are due.
    changed = {
        "AttributeName": attribute or current,
        "Status": "ENABLING" if attribute else "DISABLING",
        "UpdatedAt": now,
    }
    return document | {"TimeToLive": changed}, True


def _with_encryption(document: Document, kind: str | None) -> Document:
    left = {name: value for name, value in document.items() if name != "SSEDescription"}
    if kind is None:
        return left
    arn = replica_key_arn(document, replicas.region_of(document))
    return left | {"SSEDescription": {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": arn}}


def _with_table_class(document: Document, wanted: str | None, now: float) -> Document:
    if wanted is None or wanted == document.get("TableClassSummary", {}).get("TableClass"):
        return document
    return document | {"TableClassSummary": {"TableClass": wanted, "LastUpdateDateTime": now}}


def _with_indexes(document: Document, wanted: Settings) -> tuple[Document, list[int], list[int]]:
    """The document with the indexes that are wanted, and the numbers of those that are new and that are gone."""
    definitions = {name.removeprefix(INDEX): value for name, value in wanted.items() if name.startswith(INDEX)}
    new, gone = [], []
    for index in document.get("GlobalSecondaryIndexes", ()):
        if not _same(definitions.get(index["IndexName"]), index):
            document = without_index(document, index["IndexName"])
            gone.append(index["IndexNumber"])
    there = {index["IndexName"] for index in document.get("GlobalSecondaryIndexes", ())}
    for name in sorted(definitions.keys() - there):
        definition = definitions[name]
        new.append(document["NextIndexNumber"])
        being_made = {"IndexStatus": "CREATING", "Backfilling": True}
        document = with_index(
            document, {"IndexName": name} | definition, being_made, definition["AttributeDefinitions"]
        )
    if definitions:
        indexes = [_with_index_throughput(i, wanted) for i in document["GlobalSecondaryIndexes"]]
        document = document | {"GlobalSecondaryIndexes": indexes}
    return document, new, gone


def _same(definition: Settings | None, index: Document) -> bool:
    return definition is not None and all(definition[m] == index[m] for m in ("KeySchema", "Projection"))


def _with_index_throughput(index: Document, wanted: Settings) -> Document:
    throughput = wanted[INDEX_THROUGHPUT + index["IndexName"]]
    return _with_units(index, throughput) | {"WarmThroughput": throughput["Warm"]}


# Overrides


def _overridden(of: Document, overrides: Settings, prefix: str) -> Document:
    """A table or an index with its own read capacity, on demand or provisioned."""
    for member, throughput in (
        ("ProvisionedThroughputOverride", "ProvisionedThroughput"),
        ("OnDemandThroughputOverride", "OnDemandThroughput"),
    ):
        if prefix + member in overrides:
            of = of | {throughput: of.get(throughput, {}) | overrides[prefix + member]}
    return of
