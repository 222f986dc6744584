"""ExecuteStatement, BatchExecuteStatement and ExecuteTransaction.

A statement is a read or a write like those of other operations, and uses the same code. These operations add the choice
of statements, the form of the answers and the words of refusals.

Sources: the API reference, and "Running batch operations" and "Performing transactions with PartiQL" in the developer
guide; refusals and capacity as measured on AWS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import SerializationException, ServiceError, ValidationException
from jedlik.aws.meter import Meter
from jedlik.dynamodb import catalog
from jedlik.dynamodb.capacity import charging
from jedlik.dynamodb.errors import ConditionalCheckFailedException, DuplicateItemException, ResourceNotFoundException
from jedlik.dynamodb.items import single_writes, transactions
from jedlik.dynamodb.items.client_tokens import ClientToken
from jedlik.dynamodb.items.parameters import Request, Response
from jedlik.dynamodb.items.prepared import Prepared
from jedlik.dynamodb.items.turns import by_turns
from jedlik.dynamodb.model import key_values, keys, limits, values
from jedlik.dynamodb.model.expressions.ast import Values
from jedlik.dynamodb.model.partiql import continuation, literals, planner, statement_writes
from jedlik.dynamodb.model.partiql.continuation import Position
from jedlik.dynamodb.model.partiql.errors import EXISTS_OUTSIDE
from jedlik.dynamodb.model.partiql.key_terms import single_item
from jedlik.dynamodb.model.partiql.statements import (
    RETURN_VALUES,
    DeleteStatement,
    ExistsStatement,
    InsertStatement,
    SelectStatement,
    UpdateStatement,
    WriteStatement,
    statement,
)
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import AttributeValue, Item
from jedlik.dynamodb.model.writes import ItemChange, ItemWrite, check_descriptor
from jedlik.dynamodb.partiql import partiql_reads
from jedlik.regions.region import Region


@dataclass(frozen=True, slots=True)
class _Asked:
    """A statement with the parameters of its request."""

    statement: SelectStatement | WriteStatement
    parameters: list[AttributeValue]
    given: Values
    request: Request
    """The members of the request, or of the element of a batch or transaction, that contains it."""

    @property
    def returns_old(self) -> bool:
        """Whether a failed condition returns the present item."""
        return self.request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"

    @property
    def consistent(self) -> bool:
        consistent: bool = self.request.get("ConsistentRead", False)
        return consistent


def _asked(request: Request) -> _Asked:
    """The request of a statement. Raises SerializationException and ValidationException."""
    parsed = statement(request["Statement"])
    parameters = _parameters(request)
    return _Asked(parsed, parameters, parsed.bound(parameters), request)


def _parameters(request: Request) -> list[AttributeValue]:
    return [literals.parameter(raw) for raw in request.get("Parameters", ())]


def _prepared(asked: _Asked, secret: bytes) -> Prepared:
    """The write of a statement, which still needs its table. Raises ValidationException."""
    parsed, given, returns_old = asked.statement, asked.given, asked.returns_old
    size = sum(map(values.value_size, asked.parameters))
    match parsed:
        case InsertStatement():
            item, size = statement_writes.item_of(parsed, asked.parameters)
            return Prepared(item, size, lambda table: statement_writes.put(table, item, size, secret))
        case UpdateStatement():
            return Prepared({}, size, lambda table: statement_writes.update(parsed, table, given, secret, returns_old))
        case DeleteStatement():
            return Prepared({}, size, lambda table: statement_writes.delete(parsed, table, given, secret, returns_old))
        case ExistsStatement():
            return Prepared(
                {}, size, lambda table: statement_writes.condition_check(parsed, table, given, secret, returns_old)
            )
    raise AssertionError(f"not a write: {parsed}")


def _returned(write: WriteStatement, operation: ItemWrite, change: ItemChange) -> Any:
    """The parts of the item that the RETURNING clause of a statement returns; None if there is no clause."""
    returning = write.returning if isinstance(write, UpdateStatement | DeleteStatement) else None
    return single_writes.RETURNED[RETURN_VALUES[returning]](operation, change) if returning else None


# ExecuteStatement


async def execute_statement(context: Context, request: Request) -> Response:
    """One statement: a page of a SELECT, or one write."""
    asked = _asked(request)
    if isinstance(asked.statement, ExistsStatement):
        raise ValidationException(EXISTS_OUTSIDE)
    if isinstance(asked.statement, SelectStatement):
        return await _select(context, asked.statement, asked)
    operation, change = await single_writes.write(
        context, asked.statement.table, _prepared(asked, context.region.secret).operation
    )
    charging.wrote(context.meter, operation.table, asked.statement.table, change)
    returned = _returned(asked.statement, operation, change)
    return {"Items": [returned] if returned else [], **_told(request, context.meter)}


async def _select(context: Context, select: SelectStatement, asked: _Asked) -> Response:
    region, request = context.region, asked.request
    seal = (request["Statement"], asked.parameters, region.secret)
    position = continuation.position(request["NextToken"], *seal) if "NextToken" in request else Position()
    found = await partiql_reads.select(context, select, asked.given, position, request.get("Limit"), asked.consistent)
    response: Response = {"Items": found.items}
    if found.next is not None:
        response["NextToken"] = continuation.token(found.next, *seal)
    if found.last_key is not None:
        response["LastEvaluatedKey"] = found.last_key
    return response | _told(request, context.meter)


def _told(request: Request, meter: Meter) -> Response:
    detail = request.get("ReturnConsumedCapacity", "NONE")
    return {} if detail == "NONE" else {"ConsumedCapacity": charging.consumed(meter, detail)}


# BatchExecuteStatement


async def batch_execute_statement(context: Context, request: Request) -> Response:
    """Up to 25 reads or 25 writes of single items, each by itself."""
    region = context.region
    wanted = await by_turns(request["Statements"], _batched)
    asked = [one for one in wanted if isinstance(one, _Asked)]
    if len({isinstance(one.statement, SelectStatement) for one in asked}) > 1:
        raise ValidationException("Read and write requests together in the same batch is not supported.")
    targets = [target for one in asked if (target := await _target(region, one)) is not None]
    if len(set(targets)) < len(targets):
        raise ValidationException("Provided list of item keys contains duplicates")
    done = await asyncio.gather(*(_execute(context, one) for one in wanted))
    response: Response = {"Responses": done}
    if request.get("ReturnConsumedCapacity", "NONE") != "NONE":
        tables = [one.statement.table for one in asked]
        consumed = _consumed(request["ReturnConsumedCapacity"], tables, context.meter)
        if consumed:
            response["ConsumedCapacity"] = consumed
    return response


def _batched(element: Request) -> _Asked | ValidationException:
    """The request of a statement of a batch, or the reason why it is refused."""
    try:
        asked = _asked(element)
        if isinstance(asked.statement, ExistsStatement):
            raise ValidationException(EXISTS_OUTSIDE)
    except ValidationException as error:
        return error
    return asked


async def _target(region: Region, asked: _Asked) -> bytes | None:
    """The storage key of the item that a statement names; None if its execution will find a fault."""
    try:
        table = await catalog.current(region, asked.statement.table)
        key = _key(asked, table)
        return None if key is None else keys.item_key(table, key_values.check_key(table, key), region.secret)
    except (ResourceNotFoundException, ValidationException):
        return None


def _key(asked: _Asked, table: Table) -> Item | None:
    """The key that a statement names, if it names one."""
    match asked.statement:
        case InsertStatement() as insert:
            item, _ = statement_writes.item_of(insert, asked.parameters)
            return {name: item[name] for name in table.key_names if name in item}
        case SelectStatement() as select:
            return planner.single_key(select, table, asked.given)
        case write:
            single = single_item(table, write.where, asked.given)
            return single.key if single.is_complete(table) else None


async def _execute(context: Context, asked: _Asked | ValidationException) -> Response:
    """A batch's answer to a statement."""
    if isinstance(asked, ValidationException):
        return {"Error": _error(asked)}
    table_name = asked.statement.table
    try:
        if isinstance(asked.statement, SelectStatement):
            return await _read_member(context, asked.statement, asked)
        prepared = _prepared(asked, context.region.secret)
        operation, change = await single_writes.write(context, table_name, prepared.operation)
    except (ConditionalCheckFailedException, DuplicateItemException, ResourceNotFoundException) as error:
        return {"Error": _error(error), "TableName": table_name}
    except ServiceError as error:
        if error.status != 400 or isinstance(error, SerializationException):
            raise
        return {"Error": _error(error)}
    meter = context.meter
    charging.add_write(meter, meter.of(operation.table, table_name, True), change)
    response = {"TableName": table_name}
    returned = _returned(asked.statement, operation, change)
    return response | {"Item": returned} if returned else response


async def _read_member(context: Context, select: SelectStatement, asked: _Asked) -> Response:
    region, meter = context.region, context.meter

    async def attempt(table: Table) -> bytes | None:
        key = planner.single_key(select, table, asked.given)
        if key is None:
            raise ValidationException(
                "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
            )
        stored = await partiql_reads.get(region, table, key_values.check_key(table, key), asked.consistent)
        charging.add_read(meter, meter.of(table, select.table, False), stored, asked.consistent)
        return stored

    stored = await catalog.with_table(region, select.table, attempt)
    response: Response = {"TableName": select.table}
    if stored is not None:
        response["Item"] = partiql_reads.shown(select, stored)
    return response


def _error(error: ServiceError) -> Response:
    """A BatchStatementError."""
    name = "ValidationError" if isinstance(error, ValidationException) else error.name.removesuffix("Exception")
    return {"Code": name, "Message": error.message, **error.fields}


def _consumed(detail: str, tables: Sequence[str], meter: Meter) -> list[Response]:
    """The ConsumedCapacity of the tables of successful statements, in the order of the statements."""
    charges = [meter.find(name) for name in dict.fromkeys(tables)]
    return [charging.consumed(charge, detail) for charge in charges if charge is not None and charge.units]


# ExecuteTransaction


async def execute_transaction(context: Context, request: Request) -> Response:
    """Up to 100 reads of one moment, or up to 100 writes and conditions, all of them or none."""
    region = context.region
    asked = await by_turns(enumerate(request["TransactStatements"]), lambda pair: _in_transaction(*pair))
    if len({isinstance(one.statement, SelectStatement) for one in asked}) > 1:
        raise ValidationException(
            "ExecuteTransaction API does not support both read and write operations in the same request."
        )
    if isinstance(asked[0].statement, SelectStatement):
        return await _transact_reads(context, asked, request)
    for number, one in enumerate(asked):
        if isinstance(one.statement, ExistsStatement):
            await _check_exists(region, number, one)
    wanted = await by_turns(asked, lambda one: (one.statement.table, _prepared(one, region.secret)))
    if sum(write.size for _, write in wanted) > limits.TRANSACTION_SIZE:
        raise ValidationException("Transaction payload size cannot exceed 4 MB")
    text = request.get("ClientRequestToken")
    content = request["TransactStatements"]
    token = None if text is None else ClientToken.of("ExecuteTransaction", text, content, region.clock)
    await transactions.write(context, wanted, token)
    return {"Responses": [], **transactions.told(request, context.meter)}


def _in_transaction(number: int, element: Request) -> _Asked:
    """The request of a statement of a transaction. Raises SerializationException and ValidationException."""
    try:
        parsed = statement(element["Statement"])
        if isinstance(parsed, UpdateStatement | DeleteStatement) and parsed.returning is not None:
            raise ValidationException("RETURNING clause is not supported in ExecuteTransaction.")
        if isinstance(parsed, SelectStatement) and parsed.index is not None:
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
    """Refuses an EXISTS that is no condition on one item: it cancels no transaction but refuses the request."""
    table = await catalog.current(region, asked.statement.table)
    try:
        _prepared(asked, region.secret).operation(table)
    except ValidationException as error:
        raise _failed(number, error) from None


async def _transact_reads(context: Context, asked: Sequence[_Asked], request: Request) -> Response:
    region, meter = context.region, context.meter
    selects = [(one.statement, one.given) for one in asked if isinstance(one.statement, SelectStatement)]
    names = list(dict.fromkeys(select.table for select, _ in selects))

    async def attempt(tables: Sequence[Table]) -> tuple[dict[str, Table], list[bytes | None]]:
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
        return table_of, found[len(tables) :]

    table_of, found = await catalog.with_tables(region, names, attempt)
    responses: list[Response] = []
    for (select, _), stored in zip(selects, found, strict=True):
        charge = meter.of(table_of[select.table], select.table, False)
        charging.add_read(meter, charge, stored, True, transactions.CHARGED)
        responses.append({} if stored is None else {"Item": partiql_reads.shown(select, stored)})
    return {"Responses": responses, **transactions.told(request, meter)}


def _read_key(number: int, select: SelectStatement, table: Table, given: Values) -> Item:
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
