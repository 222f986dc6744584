"""The operations of DynamoDB, of its streams, and those by which regions speak to each other.

An operation is its shape, which comes from the service's model, and its handler. To add one is to add its
handler here. `dynamodb.service` declares the services that they make.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

from jedlik.aws.access import needs_nothing
from jedlik.aws.errors import SerializationException, ServiceError, ValidationException
from jedlik.aws.service import Handler, Operation, Short
from jedlik.aws.shapes import shapes
from jedlik.dynamodb import accesses, account, attribute_values, catalog, wording
from jedlik.dynamodb.backups import (
    backup_operations,
    bulk_operations,
    export_operations,
    import_operations,
    recovery_operations,
    restore_operations,
)
from jedlik.dynamodb.capacity.cloudwatch import RequestCounts
from jedlik.dynamodb.items import (
    batches,
    prepared,
    queries,
    repeated_gets,
    short_reads,
    short_transactions,
    short_writes,
    single_items,
    transactions,
)
from jedlik.dynamodb.items.prepared import Prepared
from jedlik.dynamodb.model import limits, value_types
from jedlik.dynamodb.partiql import partiql_operations
from jedlik.dynamodb.replication import global_table_settings, global_tables, members, serving
from jedlik.dynamodb.request_shapes import DYNAMODB, STREAMS
from jedlik.dynamodb.streams import stream_operations
from jedlik.dynamodb.tables import resource_policies, table_operations, table_updates, tags, ttl
from jedlik.dynamodb.wording import Wording

_HANDLERS: dict[str, Handler] = {
    "BatchExecuteStatement": partiql_operations.batch_execute_statement,
    "BatchGetItem": batches.batch_get_item,
    "BatchWriteItem": batches.batch_write_item,
    "CancelBulkOperation": bulk_operations.cancel_bulk_operation,
    "CreateBackup": backup_operations.create_backup,
    "CreateGlobalTable": global_tables.create_global_table,
    "CreateTable": table_operations.create_table,
    "DeleteBackup": backup_operations.delete_backup,
    "DeleteItem": single_items.delete_item,
    "DeleteTable": table_operations.delete_table,
    "DescribeBackup": backup_operations.describe_backup,
    "DescribeBulkOperation": bulk_operations.describe_bulk_operation,
    "DescribeContinuousBackups": recovery_operations.describe_continuous_backups,
    "DescribeEndpoints": account.describe_endpoints,
    "DescribeExport": export_operations.describe_export,
    "DescribeGlobalTable": global_tables.describe_global_table,
    "DescribeGlobalTableSettings": global_table_settings.describe_global_table_settings,
    "DescribeImport": import_operations.describe_import,
    "DescribeLimits": account.describe_limits,
    "DescribeTable": table_operations.describe_table,
    "DescribeTimeToLive": ttl.describe_time_to_live,
    "ExecuteStatement": partiql_operations.execute_statement,
    "ExecuteTransaction": partiql_operations.execute_transaction,
    "ExportTableToPointInTime": export_operations.export_table_to_point_in_time,
    "GetItem": single_items.get_item,
    "ImportTable": import_operations.import_table,
    "ListBackups": backup_operations.list_backups,
    "ListBulkOperations": bulk_operations.list_bulk_operations,
    "ListExports": export_operations.list_exports,
    "ListGlobalTables": global_tables.list_global_tables,
    "ListImports": import_operations.list_imports,
    "DeleteResourcePolicy": resource_policies.delete_resource_policy,
    "GetResourcePolicy": resource_policies.get_resource_policy,
    "ListTables": table_operations.list_tables,
    "PutResourcePolicy": resource_policies.put_resource_policy,
    "ListTagsOfResource": tags.list_tags_of_resource,
    "PutItem": single_items.put_item,
    "Query": queries.query,
    "RestoreTableFromBackup": restore_operations.restore_table_from_backup,
    "RestoreTableToPointInTime": recovery_operations.restore_table_to_point_in_time,
    "Scan": queries.scan,
    "StartBulkPutItems": bulk_operations.start_bulk_put_items,
    "TagResource": tags.tag_resource,
    "TransactGetItems": transactions.transact_get_items,
    "TransactWriteItems": transactions.transact_write_items,
    "UntagResource": tags.untag_resource,
    "UpdateContinuousBackups": recovery_operations.update_continuous_backups,
    "UpdateGlobalTable": global_tables.update_global_table,
    "UpdateGlobalTableSettings": global_table_settings.update_global_table_settings,
    "UpdateItem": single_items.update_item,
    "UpdateTable": table_updates.update_table,
    "UpdateTimeToLive": ttl.update_time_to_live,
}

_SHORT_READS: dict[str, Short] = {
    "GetItem": short_reads.get_item,
    "Query": short_reads.query,
}
_SHORT_WRITES: dict[str, Callable[[Any, bytes], Prepared]] = {
    "DeleteItem": prepared.delete,
    "PutItem": prepared.put,
    "UpdateItem": partial(prepared.update, alone=True),
}
"""What does the commonest requests of operations (`aws.short_way`), and what prepares them."""
_REPEATS = {"GetItem": repeated_gets.learn}
_SHORT_MEMBERS = {"GetItem": short_reads.GET_ITEM, "Query": short_reads.QUERY}

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


def _reworded(
    error: ServiceError, request: Any, *, words: Wording, find_values: attribute_values.Finder
) -> ServiceError:
    """The error that a client gets for one that refuses a request: in the operation's words, unless an attribute value
    has the wrong type, which goes before."""
    if not isinstance(error, ValidationException):
        return error
    found = list(islice(find_values(request), limits.ITEM_SIZE))
    try:
        value_types.check(*found)
    except SerializationException as wrong_type:
        return wrong_type
    if words is not wording.older and value_types.is_deeper(found, wording.DEEPEST):
        words = wording.older
    return ValidationException(words(error), **error.fields)


def _operation(name: str, handler: Handler) -> Operation:
    find_values = partial(attribute_values.find, DYNAMODB, name)
    words = wording.OF_OPERATIONS.get(name, wording.older)
    validate = shapes.validator(name, DYNAMODB)
    short = _SHORT_READS.get(name)
    if name in _SHORT_WRITES:
        short = partial(short_writes.begin, validate=validate, prepare=_SHORT_WRITES[name])
    elif name == "TransactWriteItems":
        short = partial(short_transactions.begin, validate=validate)
    return Operation(
        name=name,
        handler=handler,
        accesses=accesses.of(name),
        form=accesses.forms_of(name),
        learn=catalog.learn,
        short=short,
        short_members=_SHORT_MEMBERS.get(name),
        repeats=_REPEATS.get(name),
        validate=validate,
        reword=partial(_reworded, words=words, find_values=find_values),
        across_accounts=name in accesses.ACROSS_ACCOUNTS,
        count=RequestCounts(name).count,
        answer=_ANSWERS.get(name, 0),
    )


OPERATIONS = {name: _operation(name, handler) for name, handler in _HANDLERS.items()}
"""The operations of DynamoDB, by name."""

STREAMS_OPERATIONS = {
    name: Operation(
        name=name,
        handler=handler,
        accesses=accesses.of(name),
        learn=catalog.learn,
        validate=shapes.validator(name, STREAMS),
        across_accounts=name in accesses.ACROSS_ACCOUNTS,
        count=RequestCounts(name).count,
        answer=_ANSWERS.get(name, 0),
    )
    for name, handler in _STREAMS_HANDLERS.items()
}
"""The operations of DynamoDB Streams, by name."""

PEER_OPERATIONS = {
    name: Operation(name=name, handler=handler, accesses=needs_nothing, validate=partial(validate, name))
    for validate, handlers in ((serving.validate, _PEER_HANDLERS), (members.validate, _MEMBER_HANDLERS))
    for name, handler in handlers.items()
}
"""The operations by which regions speak to each other, by name."""
