"""The accesses that each operation of DynamoDB and its streams needs: actions on resources under condition keys.

A table of the operations maps actions to resources. It has two parts: the operations on items, whose condition keys
depend on their requests (`access_conditions`, `access_statements`), and all others. Everything is a pure function of
the checked input, of the place where it is served, and of the tables that the process knows. It never raises for any
input that the shape check accepts; for input that the handler will refuse, the result does not matter. Expressions and
statements are remembered by their text, so they are parsed once for this and for the handler.

The tables are needed only for the attribute that is their partition key. A descriptor may be stale, and then the
accesses may be wrong: a deleted table is forgotten within a second (`catalog.look`), before which another of its name
may be taken for it.

An ARN is rebuilt with the right partition and service, which the look-up of a resource ignores: the same table must not
have two names for policies. `aws:ResourceTag` is not here: the tags of a resource are in the store.

Sources: "Actions, resources, and condition keys for Amazon DynamoDB" in the service authorization reference; "Using IAM
with DynamoDB transactions" and "Using IAM with global tables" (both versions) in the developer guide. The operations on
bulk loads are in no reference yet; here they are like others of their kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from jedlik.aws.access import UNSEEN, Access, Accesses, Forms, Known, Scope, account_of, no_form
from jedlik.dynamodb import access_conditions, access_forms, access_statements, bucket_accesses
from jedlik.dynamodb.access_conditions import Asked, Context, Request
from jedlik.dynamodb.model.tables import Table

Resources = Callable[[Scope, Request], Iterable[str]]
"""The ARNs that an operation is on."""

_NO_CONTEXT: Context = MappingProxyType({})


# Resources


def table_name(name_or_arn: str) -> str:
    """The name of a table that a request gives by its name or ARN."""
    return name_or_arn.split(":", 5)[-1].partition("/")[2] if name_or_arn.startswith("arn:") else name_or_arn


def table_arn(scope: Scope, name_or_arn: str, index: str | None = None) -> str:
    """The ARN of a table that a request gives by its name or ARN, or of its index."""
    account, region = scope.account, scope.region
    parts = name_or_arn.split(":", 5)
    if name_or_arn.startswith("arn:") and len(parts) == 6:
        region, account = parts[3], parts[4]
    arn = f"arn:{scope.partition}:dynamodb:{region}:{account}:table/{table_name(name_or_arn)}"
    return arn if index is None else f"{arn}/index/{index}"


def _texts(request: Request, *members: str) -> Iterator[str]:
    """The text at the end of a path into a request, if there is one: unsupported operations are not checked."""
    found: Any = request
    for member in members:
        found = found.get(member) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        yield found


def _arn(member: str) -> Resources:
    """The ARN in a member, with the partition where it is looked for."""

    def resources(scope: Scope, request: Request) -> Iterator[str]:
        for arn in _texts(request, member):
            parts = arn.split(":", 2)
            yield f"arn:{scope.partition}:{parts[2]}" if parts[0] == "arn" and len(parts) == 3 else arn

    return resources


def _table(*members: str) -> Resources:
    """The table whose name or ARN stands at the end of a path into the request."""

    def resources(scope: Scope, request: Request) -> Iterator[str]:
        for name in _texts(request, *(members or ("TableName",))):
            yield table_arn(scope, name)

    return resources


def _index(scope: Scope, request: Request) -> Iterator[str]:
    for table in _texts(request, "TableName"):
        for index in _texts(request, "IndexName"):
            yield table_arn(scope, table, index)


def _in_region(scope: Scope, name_or_arn: str, region: str) -> str:
    """A table's ARN in another region."""
    account = account_of(name_or_arn) or scope.account
    return table_arn(scope._replace(account=account, region=region), table_name(name_or_arn))


def _global_table(scope: Scope, request: Request) -> Iterator[str]:
    yield f"arn:{scope.partition}:dynamodb::{scope.account}:global-table/{request['GlobalTableName']}"


def _replicas(member: str) -> Resources:
    """The table of a global table of 2017, here and in each region in a list, or in the actions of the list."""

    def resources(scope: Scope, request: Request) -> Iterator[str]:
        regions = [scope.region]
        for element in request.get(member, ()):
            for part in (element, *element.values()):
                regions += _texts(part, "RegionName")
        for region in dict.fromkeys(regions):
            yield _in_region(scope, request["GlobalTableName"], region)

    return resources


def _stream_of_iterator(scope: Scope, request: Request) -> Iterator[str]:
    yield request["ShardIterator"].rsplit("|", 2)[0]


# Operations on anything but items: each is an action of its own name

RESOURCES: dict[str, tuple[Resources, ...]] = {
    "CancelBulkOperation": (_arn("BulkOperationArn"),),
    "CreateBackup": (_table(),),
    "CreateGlobalTable": (_global_table, _replicas("ReplicationGroup")),
    "CreateTable": (_table(),),
    "DeleteBackup": (_arn("BackupArn"),),
    "DeleteResourcePolicy": (_arn("ResourceArn"),),
    "DeleteTable": (_table(),),
    "DescribeBackup": (_arn("BackupArn"),),
    "DescribeBulkOperation": (_arn("BulkOperationArn"),),
    "DescribeContinuousBackups": (_table(),),
    "DescribeContributorInsights": (_table(), _index),
    "DescribeEndpoints": (),
    "DescribeExport": (_arn("ExportArn"),),
    "DescribeGlobalTable": (_global_table,),
    "DescribeGlobalTableSettings": (_global_table,),
    "DescribeImport": (_arn("ImportArn"),),
    "DescribeKinesisStreamingDestination": (_table(),),
    "DescribeLimits": (),
    "DescribeStream": (_arn("StreamArn"),),
    "DescribeTable": (_table(),),
    "DescribeTableReplicaAutoScaling": (_table(),),
    "DescribeTimeToLive": (_table(),),
    "DisableKinesisStreamingDestination": (_table(),),
    "EnableKinesisStreamingDestination": (_table(),),
    "ExportTableToPointInTime": (_table("TableArn"),),
    "GetRecords": (_stream_of_iterator,),
    "GetResourcePolicy": (_arn("ResourceArn"),),
    "GetShardIterator": (_arn("StreamArn"),),
    "ImportTable": (_table("TableCreationParameters", "TableName"),),
    "ListBackups": (),
    "ListBulkOperations": (),
    "ListContributorInsights": (),
    "ListExports": (_table("TableArn"),),
    "ListGlobalTables": (),
    "ListImports": (_table("TableArn"),),
    "ListStreams": (),
    "ListTables": (),
    "ListTagsOfResource": (_arn("ResourceArn"),),
    "PutResourcePolicy": (_arn("ResourceArn"),),
    "RestoreTableFromBackup": (_arn("BackupArn"), _table("TargetTableName")),
    "RestoreTableToPointInTime": (_table("SourceTableArn"), _table("SourceTableName"), _table("TargetTableName")),
    "SearchVectors": (_table(), _index),
    "StartBulkPutItems": (_table(),),
    "TagResource": (_arn("ResourceArn"),),
    "UntagResource": (_arn("ResourceArn"),),
    "UpdateContinuousBackups": (_table(),),
    "UpdateContributorInsights": (_table(), _index),
    "UpdateGlobalTable": (_global_table, _replicas("ReplicaUpdates")),
    "UpdateGlobalTableSettings": (_global_table, _replicas("ReplicaSettingsUpdate")),
    "UpdateKinesisStreamingDestination": (_table(),),
    "UpdateTable": (_table(),),
    "UpdateTableReplicaAutoScaling": (_table(),),
    "UpdateTimeToLive": (_table(),),
}
"""The resources of each; none if the reference has no resource for the action, which is then on `*`."""

_ITEMS = ("BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")
"""Actions that a caller needs who lets a table be filled."""

BESIDES: dict[str, tuple[tuple[str, tuple[str, ...], Resources], ...]] = {
    "CreateTable": (
        ("Tags", ("TagResource",), _table()),
        ("ResourcePolicy", ("PutResourcePolicy",), _table()),
        ("GlobalTableSourceArn", ("AssociateTableReplica",), _table("GlobalTableSourceArn")),
        ("GlobalTableSourceArn", ("CreateTableReplica", *_ITEMS), _table()),
    ),
    "RestoreTableFromBackup": (("TargetTableName", _ITEMS, _table("TargetTableName")),),
    "RestoreTableToPointInTime": (("TargetTableName", _ITEMS, _table("TargetTableName")),),
}
"""Further accesses that a member needs if it is present: actions, and on which resources."""

REPLICAS: dict[str, dict[str, tuple[str, ...]]] = {
    "ReplicaUpdates": {
        "Create": ("CreateTable", "CreateTableReplica", *_ITEMS),
        "Update": ("UpdateTable",),
        "Delete": ("DeleteTable", "DeleteTableReplica"),
    },
    "GlobalTableWitnessUpdates": {
        "Create": ("CreateGlobalTableWitness",),
        "Delete": ("DeleteGlobalTableWitness",),
    },
}
"""The accesses that UpdateTable needs in the other region for each replica that these members create, update or
delete."""


ACROSS_ACCOUNTS = frozenset(
    {
        "BatchGetItem",
        "BatchWriteItem",
        "DeleteItem",
        "DeleteResourcePolicy",
        "DeleteTable",
        "DescribeStream",
        "DescribeTable",
        "GetItem",
        "GetRecords",
        "GetResourcePolicy",
        "GetShardIterator",
        "ListTagsOfResource",
        "PutItem",
        "PutResourcePolicy",
        "Query",
        "Scan",
        "TagResource",
        "TransactGetItems",
        "TransactWriteItems",
        "UntagResource",
        "UpdateItem",
        "UpdateTable",
    }
)
"""The operations that take ARNs of another account. PartiQL's do not.

Source: "DynamoDB API operations supported by resource-based policies" in the developer guide.
"""

TAGGING = frozenset({"CreateTable", "TagResource", "UntagResource"})
"""The operations whose condition keys are the tags that they add or remove."""


def _on_resources(operation: str, scope: Scope, request: Request, known: Known) -> Iterator[Access]:
    tags = _tags(request) if operation in TAGGING else _NO_CONTEXT
    found = [arn for resources in RESOURCES[operation] for arn in resources(scope, request)]
    for arn in found or ["*"]:
        yield Access(f"dynamodb:{operation}", arn, tags)
    for member, actions, resources in BESIDES.get(operation, ()):
        if member in request:
            for arn in resources(scope, request):
                for action in actions:
                    yield Access(f"dynamodb:{action}", arn, tags if action == "TagResource" else _NO_CONTEXT)
    if operation == "UpdateTable":
        yield from _in_other_regions(scope, request)
    yield from bucket_accesses.needed(operation, scope, request)


def _in_other_regions(scope: Scope, request: Request) -> Iterator[Access]:
    for member, actions_of in REPLICAS.items():
        for update in request.get(member, ()):
            for verb, actions in actions_of.items():
                if verb in update:
                    arn = _in_region(scope, request["TableName"], update[verb]["RegionName"])
                    for action in actions:
                        yield Access(f"dynamodb:{action}", arn, _NO_CONTEXT)


def _tags(request: Request) -> Context:
    """The tags that a request adds, as `aws:RequestTag`, and the keys of those that it adds or removes."""
    tags = {tag["Key"]: tag.get("Value", "") for tag in request.get("Tags", ()) if "Key" in tag}
    tag_keys = (*tags, *request.get("TagKeys", ()))
    if not tag_keys:
        return _NO_CONTEXT
    return {f"aws:RequestTag/{key}": (value,) for key, value in tags.items()} | {"aws:TagKeys": tag_keys}


# Operations on items


def _access(scope: Scope, action: str, table: str, asked: Asked, index: str | None = None) -> Access:
    return Access(f"dynamodb:{action}", table_arn(scope, table, index), asked.context(action))


def _on_item(
    action: str, scope: Scope, request: Request, known: Known, whole: Request, enclosing: str | None = None
) -> Access:
    """GetItem, PutItem, UpdateItem, DeleteItem or ConditionCheckItem: a `whole` request, or an element of one."""
    item = request["Item"] if action == "PutItem" else request["Key"]
    asked = Asked(
        attributes=access_conditions.attributes(request),
        partitions=access_conditions.partitions_of((item,), _partition_key(known, request["TableName"])),
        select=access_conditions.select(request),
        return_values=access_conditions.return_values(request),
        return_consumed_capacity=access_conditions.capacity(whole),
        enclosing_operation=enclosing,
    )
    return _access(scope, action, request["TableName"], asked)


def _partition_key(known: Known, table: str, index: str | None = None) -> tuple[str, ...] | None:
    return access_conditions.partition_key(known.get(table_name(table)), index)


def _single(operation: str, scope: Scope, request: Request, known: Known) -> Iterator[Access]:
    yield _on_item(operation, scope, request, known, request)


def _paged(operation: str, scope: Scope, request: Request, known: Known) -> Iterator[Access]:
    """Query and Scan, on an index if they name one."""
    table, index = request["TableName"], request.get("IndexName")
    asked = Asked(
        attributes=access_conditions.attributes(request),
        partitions=access_conditions.queried_partitions(request, _partition_key(known, table, index)),
        select=access_conditions.select(request),
        return_consumed_capacity=access_conditions.capacity(request),
    )
    yield _access(scope, operation, table, asked, index)


def _batch_get(operation: str, scope: Scope, request: Request, known: Known) -> Iterator[Access]:
    for table, gets in request["RequestItems"].items():
        items = gets["Keys"]
        asked = Asked(
            attributes=(*(name for item in items for name in item), *access_conditions.attributes(gets)),
            partitions=access_conditions.partitions_of(items, _partition_key(known, table)),
            select=access_conditions.select(gets),
            return_consumed_capacity=access_conditions.capacity(request),
        )
        yield _access(scope, operation, table, asked)


def _batch_write(operation: str, scope: Scope, request: Request, known: Known) -> Iterator[Access]:
    for table, writes in request["RequestItems"].items():
        items = [item for write in writes for part in write.values() for item in part.values()]
        asked = Asked(
            attributes=(name for item in items for name in item),
            partitions=access_conditions.partitions_of(items, _partition_key(known, table)),
            return_consumed_capacity=access_conditions.capacity(request),
        )
        yield _access(scope, operation, table, asked)


_OF_ELEMENT = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}
"""The actions of a transaction's elements."""


def _transaction(operation: str, scope: Scope, request: Request, known: Known) -> Iterator[Access]:
    for element in request["TransactItems"]:
        for kind, part in element.items():
            yield _on_item(_OF_ELEMENT[kind], scope, part, known, request, operation)


def statement(scope: Scope, request: Request, known: Known, enclosing: str | None = None) -> Iterator[Access]:
    """The accesses of a statement of a request, or of an element of a batch or transaction: none if it is malformed."""
    parsed = access_statements.parsed(request)
    if parsed is not None:
        table = known.get(table_name(parsed.table))
        needed = access_statements.needed(parsed, request, table, enclosing)
        yield _access(scope, needed.action, needed.table, needed.asked, needed.index_name)


def _statement(operation: str, scope: Scope, request: Request, known: Known) -> Iterator[Access]:
    yield from statement(scope, request, known)


def _statements(operation: str, scope: Scope, request: Request, known: Known) -> Iterator[Access]:
    for element in request["Statements"]:
        yield from statement(scope, element, known)


def _statement_transaction(operation: str, scope: Scope, request: Request, known: Known) -> Iterator[Access]:
    for element in request["TransactStatements"]:
        yield from statement(scope, element, known, operation)


_Worked = Callable[[str, Scope, Request, Known], Iterator[Access]]

ON_ITEMS: dict[str, _Worked] = {
    "BatchExecuteStatement": _statements,
    "BatchGetItem": _batch_get,
    "BatchWriteItem": _batch_write,
    "DeleteItem": _single,
    "ExecuteStatement": _statement,
    "ExecuteTransaction": _statement_transaction,
    "GetItem": _single,
    "PutItem": _single,
    "Query": _paged,
    "Scan": _paged,
    "TransactGetItems": _transaction,
    "TransactWriteItems": _transaction,
    "UpdateItem": _single,
}
"""The function that computes the accesses of each."""


# All operations


def _policy(scope: Scope, arn: str, known: Known) -> str | None:
    """The policy of a table, which holds for its indexes too, or of its latest stream. Another account's is not known
    here."""
    parts = arn.split(":", 5)
    words = parts[-1].split("/")
    if len(parts) != 6 or words[0] != "table" or (parts[3], parts[4]) != (scope.region, scope.account):
        return None
    table = known.get(words[1])
    if not isinstance(table, Table):
        return UNSEEN
    descriptor = table.descriptor
    if len(words) > 3 and words[2] == "stream":
        found = descriptor.stream_policy
        return found.decisive if found is not None and found.label == words[3] else None
    return None if descriptor.policy is None else descriptor.policy.decisive


def of(operation: str) -> Accesses:
    """What an operation needs."""
    work = ON_ITEMS.get(operation, _on_resources)
    assert operation in ON_ITEMS or operation in RESOURCES, operation

    def accesses(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
        needed = work(operation, scope, request, known)
        return tuple(access._replace(policy=_policy(scope, access.resource, known)) for access in needed)

    return accesses


def forms_of(operation: str) -> Forms:
    """The forms of an operation's requests."""
    return access_forms.of(operation, of(operation)) if operation in access_forms.FORMED else no_form
