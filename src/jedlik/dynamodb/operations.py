"""The operations: every one that is served, by the target that a request names.

An operation is its shape, which comes from the service's model, and its handler. To add one is to add its
handler here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import DynamoDBError, SerializationException, UnknownOperationException, ValidationException
from jedlik.aws.shapes import shapes
from jedlik.dynamodb import account, attribute_values, wording
from jedlik.dynamodb.items import batches, queries, single_items, transactions
from jedlik.dynamodb.model import limits, value_types
from jedlik.dynamodb.partiql import partiql_operations
from jedlik.dynamodb.replication import global_table_settings, global_tables, members, serving
from jedlik.dynamodb.streams import stream_operations
from jedlik.dynamodb.tables import table_operations, table_updates, tags, ttl
from jedlik.dynamodb.wording import Wording

Handler = Callable[[Context, dict[str, Any]], Awaitable[dict[str, Any] | None]]
"""Does an operation. The request has been checked by `validate`; what is returned is the answer's body, None
for an empty one."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as the server sees it."""

    name: str
    validate: Callable[[Any], dict[str, Any]]
    """Checks the shape of a decoded body (`shapes.validator`)."""
    handler: Handler
    find_values: attribute_values.Finder | None = None
    """Finds the attribute values in a request; None if a request has none."""
    wording: Wording = wording.older
    answer: int = 0
    """Bytes for which there must be room before it begins: of its largest answer, where that has many items."""

    def refusal(self, error: DynamoDBError, request: Any) -> DynamoDBError:
        """The error that a client gets for one with which `validate` or `handler` has refused a request."""
        if not isinstance(error, ValidationException):
            return error
        told = self.wording
        if self.find_values is not None:
            found = list(islice(self.find_values(request), limits.ITEM_SIZE))
            try:
                value_types.check(*found)
            except SerializationException as wrong_type:
                return wrong_type
            if told is not wording.older and value_types.is_deeper(found, wording.DEEPEST):
                told = wording.older
        return ValidationException(told(error), **error.fields)


_HANDLERS: dict[str, Handler] = {
    "BatchExecuteStatement": partiql_operations.batch_execute_statement,
    "BatchGetItem": batches.batch_get_item,
    "BatchWriteItem": batches.batch_write_item,
    "CreateGlobalTable": global_tables.create_global_table,
    "CreateTable": table_operations.create_table,
    "DeleteItem": single_items.delete_item,
    "DeleteTable": table_operations.delete_table,
    "DescribeEndpoints": account.describe_endpoints,
    "DescribeGlobalTable": global_tables.describe_global_table,
    "DescribeGlobalTableSettings": global_table_settings.describe_global_table_settings,
    "DescribeLimits": account.describe_limits,
    "DescribeTable": table_operations.describe_table,
    "DescribeTimeToLive": ttl.describe_time_to_live,
    "ExecuteStatement": partiql_operations.execute_statement,
    "ExecuteTransaction": partiql_operations.execute_transaction,
    "GetItem": single_items.get_item,
    "ListGlobalTables": global_tables.list_global_tables,
    "ListTables": table_operations.list_tables,
    "ListTagsOfResource": tags.list_tags_of_resource,
    "PutItem": single_items.put_item,
    "Query": queries.query,
    "Scan": queries.scan,
    "TagResource": tags.tag_resource,
    "TransactGetItems": transactions.transact_get_items,
    "TransactWriteItems": transactions.transact_write_items,
    "UntagResource": tags.untag_resource,
    "UpdateGlobalTable": global_tables.update_global_table,
    "UpdateGlobalTableSettings": global_table_settings.update_global_table_settings,
    "UpdateItem": single_items.update_item,
    "UpdateTable": table_updates.update_table,
    "UpdateTimeToLive": ttl.update_time_to_live,
}

_STREAMS_HANDLERS: dict[str, Handler] = {
    "DescribeStream": stream_operations.describe_stream,
    "GetRecords": stream_operations.get_records,
    "GetShardIterator": stream_operations.get_shard_iterator,
    "ListStreams": stream_operations.list_streams,
}

_PEER_HANDLERS: dict[str, Handler] = {
    "BeginCopy": serving.begin_copy,
    "CopyPage": serving.copy_page,
    "Missing": serving.missing,
    "Pull": serving.pull,
}

_MEMBER_HANDLERS: dict[str, Handler] = {
    "Join": members.join,
    "Leave": members.leave,
    "LookUp": members.look_up,
}

_ANSWERS = {
    "BatchExecuteStatement": limits.BATCH_WRITE_ITEMS * limits.ITEM_SIZE,
    "BatchGetItem": limits.BATCH_GET_SIZE,
    "ExecuteStatement": limits.PAGE_SIZE,
    "ExecuteTransaction": limits.TRANSACTION_SIZE,
    "GetRecords": limits.GET_RECORDS_SIZE,
    "Query": limits.PAGE_SIZE,
    "Scan": limits.PAGE_SIZE,
    "TransactGetItems": limits.TRANSACTION_SIZE,
}
"""The operations that answer with many items, and how many bytes of them."""

UNSUPPORTED = (
    "CancelBulkOperation",
    "CreateBackup",
    "DeleteBackup",
    "DeleteResourcePolicy",
    "DescribeBackup",
    "DescribeBulkOperation",
    "DescribeContinuousBackups",
    "DescribeContributorInsights",
    "DescribeExport",
    "DescribeImport",
    "DescribeKinesisStreamingDestination",
    "DescribeTableReplicaAutoScaling",
    "DisableKinesisStreamingDestination",
    "EnableKinesisStreamingDestination",
    "ExportTableToPointInTime",
    "GetResourcePolicy",
    "ImportTable",
    "ListBackups",
    "ListBulkOperations",
    "ListContributorInsights",
    "ListExports",
    "ListImports",
    "PutResourcePolicy",
    "RestoreTableFromBackup",
    "RestoreTableToPointInTime",
    "SearchVectors",
    "StartBulkPutItems",
    "UpdateContinuousBackups",
    "UpdateContributorInsights",
    "UpdateKinesisStreamingDestination",
    "UpdateTableReplicaAutoScaling",
)
"""What DynamoDB does and Jedlik does not yet: refused by name, where any other name is merely unknown."""


def _operation(name: str, handler: Handler) -> Operation:
    find_values = partial(attribute_values.find, "dynamodb", name)
    words, answer = wording.OF_OPERATIONS.get(name, wording.older), _ANSWERS.get(name, 0)
    return Operation(name, shapes.validator(name), handler, find_values, words, answer)


def _unsupported(name: str) -> Operation:
    async def refuse(context: Context, request: dict[str, Any]) -> None:
        raise UnknownOperationException(f"Jedlik does not support {name} yet")

    return Operation(name, lambda request: request, refuse)


OPERATIONS = {
    **{name: _operation(name, handler) for name, handler in _HANDLERS.items()},
    **{name: _unsupported(name) for name in UNSUPPORTED},
}
"""The operations of DynamoDB, by name."""

STREAMS_OPERATIONS = {
    name: Operation(name, shapes.validator(name, "dynamodbstreams"), handler, answer=_ANSWERS.get(name, 0))
    for name, handler in _STREAMS_HANDLERS.items()
}
"""The operations of DynamoDB Streams, by name."""

PEER_OPERATIONS = {
    **{name: Operation(name, partial(serving.validate, name), handler) for name, handler in _PEER_HANDLERS.items()},
    **{name: Operation(name, partial(members.validate, name), handler) for name, handler in _MEMBER_HANDLERS.items()},
}
"""The operations by which regions speak to each other, by name."""

TARGETS = {
    f"{prefix}.{name}".encode(): operation
    for prefix, operations in (
        ("DynamoDB_20120810", OPERATIONS),
        ("DynamoDBStreams_20120810", STREAMS_OPERATIONS),
        (serving.TARGET, PEER_OPERATIONS),
    )
    for name, operation in operations.items()
}
"""The operations, by the X-Amz-Target that asks for them."""
