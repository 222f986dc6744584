"""ExecuteStatement, BatchExecuteStatement and ExecuteTransaction.

A statement is a read or a write like those of other operations, and goes their ways. What these operations add is which
statements they take, how they answer, and how they word their refusals.

Sources: the API reference, and "Running batch operations" and "Performing transactions with PartiQL" in the developer
guide; refusals and capacity as measured on AWS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import (
    ConditionalCheckFailedException,
    DuplicateItemException,
    DynamoDBError,
    ResourceNotFoundException,
    SerializationException,
    ValidationException,
)
from jedlik.dynamodb import catalog
from jedlik.dynamodb.items import single_writes, transactions
from jedlik.dynamodb.items.client_tokens import ClientToken
from jedlik.dynamodb.items.parameters import Request, Response
from jedlik.dynamodb.items.prepared import Prepared
from jedlik.dynamodb.items.turns import by_turns
from jedlik.dynamodb.model import items, key_values, keys, limits, values
from jedlik.dynamodb.model.capacity import Consumed, read_units, write_units
from jedlik.dynamodb.model.expressions.ast import Values
from jedlik.dynamodb.model.partiql import continuation, literals, operations, planner
from jedlik.dynamodb.model.partiql.continuation import Position
from jedlik.dynamodb.model.partiql.errors import EXISTS_OUTSIDE
from jedlik.dynamodb.model.partiql.key_terms import single_item
from jedlik.dynamodb.model.partiql.statements import (
    RETURN_VALUES,
    Delete,
    Exists,
    Insert,
    Select,
    Update,
    Write,
    statement,
)
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import AttributeValue, Item
from jedlik.dynamodb.model.writes import Change, Operation, check_descriptor
from jedlik.dynamodb.partiql import partiql_reads
from jedlik.regions.region import Region


@dataclass(frozen=True, slots=True)
class _Asked:
    """A statement with what a request gives it."""

    statement: Select | Write
    parameters: list[AttributeValue]
    given: Values
    request: Request
    """The members of the request, or of the element of a batch or transaction, that it stands in."""

    @property
    def tells_old(self) -> bool:
        """Whether a failed condition tells what was there."""
        return self.request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"

    @property
    def consistent(self) -> bool:
        consistent: bool = self.request.get("ConsistentRead", False)
        return consistent


def _asked(request: Request) -> _Asked:
    """What a statement asks. Raises SerializationException and ValidationException."""
    parsed = statement(request["Statement"])
    parameters = _parameters(request)
    return _Asked(parsed, parameters, parsed.bound(parameters), request)


def _parameters(request: Request) -> list[AttributeValue]:
    return [literals.parameter(raw) for raw in request.get("Parameters", ())]


def _prepared(asked: _Asked, secret: bytes) -> Prepared:
    """The write that a statement is, waiting for its table. Raises ValidationException."""
    parsed, given, tells_old = asked.statement, asked.given, asked.tells_old
    size = sum(map(values.value_size, asked.parameters))
    match parsed:
        case Insert():
            item, size = operations.item_of(parsed, asked.parameters)
            return Prepared(item, size, lambda table: operations.put(table, item, size, secret))
        case Update():
            return Prepared({}, size, lambda table: operations.update(parsed, table, given, secret, tells_old))
        case Delete():
            return Prepared({}, size, lambda table: operations.delete(parsed, table, given, secret, tells_old))
        case Exists():
            return Prepared({}, size, lambda table: operations.condition_check(parsed, table, given, secret, tells_old))
    raise AssertionError(f"not a write: {parsed}")


def _returned(write: Write, operation: Operation, change: Change) -> Any:
    """What the RETURNING clause of a statement returns of the item, None if nothing."""
    returning = write.returning if isinstance(write, Update | Delete) else None
    return single_writes.RETURNED[RETURN_VALUES[returning]](operation, change) if returning else None


# ExecuteStatement


async def execute_statement(context: Context, request: Request) -> Response:
    """One statement: a page of a SELECT, or one write."""
    asked = _asked(request)
    if isinstance(asked.statement, Exists):
        raise ValidationException(EXISTS_OUTSIDE)
    if isinstance(asked.statement, Select):
        return await _select(context.region, asked.statement, asked)
    operation, change = await single_writes.write(
        context.region, asked.statement.table, _prepared(asked, context.region.secret).operation
    )
    returned = _returned(asked.statement, operation, change)
    consumed = Consumed("Write")
    consumed.add_write(change)
    return {"Items": [returned] if returned else [], **_told(request, asked.statement.table, consumed)}


async def _select(region: Region, select: Select, asked: _Asked) -> Response:
    request = asked.request
    seal = (request["Statement"], asked.parameters, region.secret)
    position = continuation.position(request["NextToken"], *seal) if "NextToken" in request else Position()
    found = await partiql_reads.select(region, select, asked.given, position, request.get("Limit"), asked.consistent)
    response: Response = {"Items": found.items}
    if found.next is not None:
        response["NextToken"] = continuation.token(found.next, *seal)
    if found.last_key is not None:
        response["LastEvaluatedKey"] = found.last_key
    return response | _told(request, select.table, found.consumed)


def _told(request: Request, table_name: str, consumed: Consumed) -> Response:
    detail = request.get("ReturnConsumedCapacity", "NONE")
    return {} if detail == "NONE" else {"ConsumedCapacity": consumed.document(table_name, detail)}


# BatchExecuteStatement


@dataclass(slots=True)
class _Member:
    """What has become of a statement of a batch."""

    response: Response
    change: Change | None = None
    """What a write did, if it succeeded."""
    read: float | None = None
    """Units of a read, if it succeeded."""
    attempted: float = 0.0
    """Units of a write that a condition stopped. They count in a table's total, and in none of its parts."""


async def batch_execute_statement(context: Context, request: Request) -> Response:
    """Up to 25 reads or 25 writes of single items, each for itself."""
    region = context.region
    wanted = await by_turns(request["Statements"], _batched)
    asked = [one for one in wanted if isinstance(one, _Asked)]
    if len({isinstance(one.statement, Select) for one in asked}) > 1:
        raise ValidationException("Read and write requests together in the same batch is not supported.")
    targets = [target for one in asked if (target := await _target(region, one)) is not None]
    if len(set(targets)) < len(targets):
        raise ValidationException("Provided list of item keys contains duplicates")
    done = await asyncio.gather(*(_execute(region, one, request) for one in wanted))
    response: Response = {"Responses": [member.response for member in done]}
    if request.get("ReturnConsumedCapacity", "NONE") != "NONE":
        tables = [one.statement.table if isinstance(one, _Asked) else "" for one in wanted]
        consumed = _consumed(request["ReturnConsumedCapacity"], tables, done)
        if consumed:
            response["ConsumedCapacity"] = consumed
    return response


def _batched(element: Request) -> _Asked | ValidationException:
    """What a statement of a batch asks, or why it is refused."""
    try:
        asked = _asked(element)
        if isinstance(asked.statement, Exists):
            raise ValidationException(EXISTS_OUTSIDE)
    except ValidationException as error:
        return error
    return asked


async def _target(region: Region, asked: _Asked) -> bytes | None:
    """The storage key of the item that a statement names; None where that is for its execution to complain of."""
    try:
        table = await catalog.current(region, asked.statement.table)
        key = _key(asked, table)
        return None if key is None else keys.item_key(table, key_values.check_key(table, key), region.secret)
    except (ResourceNotFoundException, ValidationException):
        return None


def _key(asked: _Asked, table: Table) -> Item | None:
    """The key that a statement names, if it does."""
    match asked.statement:
        case Insert() as insert:
            item, _ = operations.item_of(insert, asked.parameters)
            return {name: item[name] for name in table.key_names if name in item}
        case Select() as select:
            return planner.single_key(select, table, asked.given)
        case write:
            single = single_item(table, write.where, asked.given)
            return single.key if single.is_complete(table) else None


async def _execute(region: Region, asked: _Asked | ValidationException, request: Request) -> _Member:
    if isinstance(asked, ValidationException):
        return _Member({"Error": _error(asked)})
    table_name = asked.statement.table
    try:
        if isinstance(asked.statement, Select):
            return await _read_member(region, asked.statement, asked)
        operation, change = await single_writes.write(region, table_name, _prepared(asked, region.secret).operation)
    except (ConditionalCheckFailedException, DuplicateItemException) as error:
        attempted = 0.0
        if request.get("ReturnConsumedCapacity", "NONE") != "NONE":
            attempted = await _attempted_units(region, asked)
        return _Member({"Error": _error(error), "TableName": table_name}, attempted=attempted)
    except ResourceNotFoundException as error:
        return _Member({"Error": _error(error), "TableName": table_name})
    except DynamoDBError as error:
        if error.status != 400 or isinstance(error, SerializationException):
            raise
        return _Member({"Error": _error(error)})
    response = {"TableName": table_name}
    returned = _returned(asked.statement, operation, change)
    return _Member(response | {"Item": returned} if returned else response, change=change)


async def _read_member(region: Region, select: Select, asked: _Asked) -> _Member:
    async def attempt(table: Table) -> bytes | None:
        key = planner.single_key(select, table, asked.given)
        if key is None:
            raise ValidationException(
                "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
            )
        return await partiql_reads.get(region, table, key_values.check_key(table, key), asked.consistent)

    stored = await catalog.with_table(region, select.table, attempt)
    response: Response = {"TableName": select.table}
    if stored is not None:
        response["Item"] = partiql_reads.shown(select, stored)
    return _Member(response, read=read_units(0 if stored is None else items.size(stored), asked.consistent))


async def _attempted_units(region: Region, asked: _Asked) -> float:
    """What a write costs that was stopped by what is there: as much as one of the larger of both items."""
    size = operations.item_of(asked.statement, asked.parameters)[1] if isinstance(asked.statement, Insert) else 0
    target = await _target(region, asked)
    [stored] = [None] if target is None else await region.engine.get((target,))
    return write_units(max(size, 0 if stored is None else items.size(stored)))


def _error(error: DynamoDBError) -> Response:
    """A BatchStatementError."""
    name = "ValidationError" if isinstance(error, ValidationException) else error.name.removesuffix("Exception")
    return {"Code": name, "Message": error.message, **error.fields}


def _consumed(detail: str, tables: Sequence[str], members: Sequence[_Member]) -> list[Response]:
    """The ConsumedCapacity of the tables of which a statement succeeded."""
    documents = []
    for name in dict.fromkeys(tables):
        of_table = [member for table, member in zip(tables, members, strict=True) if table == name]
        succeeded = [member for member in of_table if member.change is not None or member.read is not None]
        if not succeeded:
            continue
        consumed = Consumed("Read" if succeeded[0].change is None else "Write")
        for member in succeeded:
            if member.change is not None:
                consumed.add_write(member.change)
            else:
                consumed.add(member.read or 0.0)
        document = consumed.document(name, detail)
        document["CapacityUnits"] += sum(member.attempted for member in of_table)
        documents.append(document)
    return documents


# ExecuteTransaction


async def execute_transaction(context: Context, request: Request) -> Response:
    """Up to 100 reads of one moment, or up to 100 writes and conditions, all of them or none."""
    region = context.region
    asked = await by_turns(enumerate(request["TransactStatements"]), lambda pair: _in_transaction(*pair))
    if len({isinstance(one.statement, Select) for one in asked}) > 1:
        raise ValidationException(
            "ExecuteTransaction API does not support both read and write operations in the same request."
        )
    if isinstance(asked[0].statement, Select):
        return await _transact_reads(region, asked, request)
    for number, one in enumerate(asked):
        if isinstance(one.statement, Exists):
            await _check_exists(region, number, one)
    wanted = await by_turns(asked, lambda one: (one.statement.table, _prepared(one, region.secret)))
    if sum(write.size for _, write in wanted) > limits.TRANSACTION_SIZE:
        raise ValidationException("Transaction payload size cannot exceed 4 MB")
    text = request.get("ClientRequestToken")
    content = request["TransactStatements"]
    token = None if text is None else ClientToken.of("ExecuteTransaction", text, content, region.clock)
    outcome = await transactions.write(region, wanted, token)
    return {"Responses": [], **transactions.consumed(request, [name for name, _ in wanted], outcome)}


def _in_transaction(number: int, element: Request) -> _Asked:
    """What a statement of a transaction asks. Raises SerializationException and ValidationException."""
    try:
        parsed = statement(element["Statement"])
        if isinstance(parsed, Update | Delete) and parsed.returning is not None:
            raise ValidationException("RETURNING clause is not supported in ExecuteTransaction.")
        if isinstance(parsed, Select) and parsed.index is not None:
            raise ValidationException("Reads on indices are not supported within transactions.")
    except ValidationException as error:
        if error.message == EXISTS_OUTSIDE:
            raise ValidationException("Unsupported operation in transaction.") from None
        raise _failed(number, error) from None
    parameters = _parameters(element)
    try:
        return _Asked(parsed, parameters, parsed.bound(parameters), element)
    except ValidationException as error:
        raise _failed(number, error) from None


def _failed(number: int, error: ValidationException) -> ValidationException:
    return ValidationException(f"Validation failed in TransactStatements[{number}]: {error.message}")


async def _check_exists(region: Region, number: int, asked: _Asked) -> None:
    """Refuses an EXISTS that is no condition on one item, which cancels no transaction but refuses the request."""
    table = await catalog.current(region, asked.statement.table)
    try:
        _prepared(asked, region.secret).operation(table)
    except ValidationException as error:
        raise _failed(number, error) from None


async def _transact_reads(region: Region, asked: Sequence[_Asked], request: Request) -> Response:
    selects = [(one.statement, one.given) for one in asked if isinstance(one.statement, Select)]
    names = list(dict.fromkeys(select.table for select, _ in selects))

    async def attempt(tables: Sequence[Table]) -> list[bytes | None]:
        table_of = dict(zip(names, tables, strict=True))
        read = [table.descriptor_key for table in tables]
        for number, (select, given) in enumerate(selects):
            table = table_of[select.table]
            read.append(keys.item_key(table, _read_key(number, select, table, given), region.secret))
        if len(set(read)) < len(read):
            raise ValidationException("Transaction request cannot include multiple operations on one item")
        found = await region.engine.get(read)
        for table, raw in zip(tables, found, strict=False):
            check_descriptor(table, raw)
        return found[len(tables) :]

    found = await catalog.with_tables(region, names, attempt)
    totals = {name: Consumed("Read") for name in names}
    responses: list[Response] = []
    for (select, _), stored in zip(selects, found, strict=True):
        totals[select.table].add(2 * read_units(0 if stored is None else items.size(stored), consistent=True))
        responses.append({} if stored is None else {"Item": partiql_reads.shown(select, stored)})
    response: Response = {"Responses": responses}
    detail = request.get("ReturnConsumedCapacity", "NONE")
    if detail != "NONE":
        response["ConsumedCapacity"] = [
            total.document(name, detail, in_transaction=True) for name, total in totals.items()
        ]
    return response


def _read_key(number: int, select: Select, table: Table, given: Values) -> Item:
    """The key of the item that a SELECT of a transaction reads. Raises ValidationException."""
    try:
        key = planner.single_key(select, table, given)
        if key is None:
            raise ValidationException(
                "Select statements within ExecuteTransaction must specify the primary key in the where clause."
            )
        return key_values.check_key(table, key)
    except ValidationException as error:
        raise _failed(number, error) from None
