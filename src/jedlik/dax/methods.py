"""The methods of DAX's protocol: a number each, and how many arguments follow it.

A request has no length, so the number of arguments determines where it ends, and one with an unknown method cannot be
passed over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from jedlik.aws.errors import ValidationException
from jedlik.aws.protocols.cbor_values import NotCbor
from jedlik.dax import batch_methods, item_methods, page_methods, transaction_methods, wire_values
from jedlik.dax.plane import Call, Plane, table_name
from jedlik.dax.results_on_the_wire import SUCCESS

SERVICE = 1
"""The number that every request begins with."""
PREAMBLE_VALUES = 5
AUTHORIZE, AUTHORIZE_VALUES = 1489122155, 5
"""Who asks. It has no answer."""
ENDPOINTS = 455855874


@dataclass(frozen=True, slots=True)
class Method:
    """One of them."""

    arguments: int
    answer: Callable[[Plane, Call], Awaitable[bytes]]
    operation: str | None = None
    """The operation of DynamoDB that it is counted as."""


async def _define_key_schema(plane: Plane, call: Call) -> bytes:
    """A table."""
    schema = await plane.schema(call, table_name(call.arguments[0]))
    into = bytearray(SUCCESS)
    wire_values.pairs(len(schema.names), into)
    for name, type_ in zip(schema.names, schema.types, strict=True):
        wire_values.text(name, into)
        wire_values.text(type_, into)
    return bytes(into)


async def _define_list_id(plane: Plane, call: Call) -> bytes:
    """The names in an attribute list."""
    [names] = call.arguments
    if type(names) is not list or not all(type(name) is str for name in names):
        raise NotCbor("an attribute list is no array of texts")
    into = bytearray(SUCCESS)
    wire_values.integer(await plane.list_number(call, tuple(names)), into)
    return bytes(into)


async def _define_list(plane: Plane, call: Call) -> bytes:
    """The number of an attribute list."""
    [number] = call.arguments
    names = await plane.lists.names(call.asker.store, number) if type(number) is int else None
    if names is None:
        raise ValidationException(f"There is no attribute list with the id {number}")
    into = bytearray(SUCCESS)
    wire_values.array(len(names), into)
    for name in names:
        wire_values.text(name, into)
    return bytes(into)


METHODS = {
    -742646399: Method(1, _define_key_schema),
    -1230579644: Method(1, _define_list_id),
    670678385: Method(1, _define_list),
    263244906: Method(3, item_methods.get_item, "GetItem"),
    -2106490455: Method(4, item_methods.put_item, "PutItem"),
    1013539361: Method(3, item_methods.delete_item, "DeleteItem"),
    1425579023: Method(3, item_methods.update_item, "UpdateItem"),
    -931250863: Method(3, page_methods.query, "Query"),
    -1875390620: Method(2, page_methods.scan, "Scan"),
    -697851100: Method(2, batch_methods.batch_get_item, "BatchGetItem"),
    116217951: Method(2, batch_methods.batch_write_item, "BatchWriteItem"),
    1866287579: Method(4, transaction_methods.transact_get_items, "TransactGetItems"),
    -1160037738: Method(9, transaction_methods.transact_write_items, "TransactWriteItems"),
}
"""Those that a node's data plane answers. Who asks and where the nodes are is the connection's."""
