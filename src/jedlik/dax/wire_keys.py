"""Keys of items as bytes, by the schema of their table: with these, clients and the cache name an item.

partition key only    S: its UTF-8; B: its bytes; N: a CBOR number
with a sort key       the partition key as a CBOR value, and behind it the sort key to the end: S: its UTF-8;
                      B: its bytes; N: LexDecimal
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

from jedlik.aws.protocols.cbor_values import BYTES, NotCbor, write_head
from jedlik.dax import wire_numbers, wire_values
from jedlik.dax.wire_values import Attribute, Item, WireReader


@dataclass(frozen=True, slots=True)
class KeySchema:
    """The attributes of a table's key: one or two, the partition key first."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    """S, N or B of each."""

    def key(self, raw: bytes) -> Item:
        """The key in these bytes, its numbers in normal form. Raises NotCbor."""
        reader = WireReader(raw)
        if len(self.names) == 1:
            if self.types[0] == "N":
                value = self._value(reader, 0)
                reader.check_end()
            else:
                value = _plain(raw, self.types[0])
            return {self.names[0]: value}
        first = self._value(reader, 0)
        rest = reader.rest()
        if self.types[1] == "N":
            second = {"N": wire_numbers.plain(wire_numbers.lex_decoded(rest))}
        else:
            second = _plain(rest, self.types[1])
        return {self.names[0]: first, self.names[1]: second}

    def _value(self, reader: WireReader, number: int) -> Attribute:
        value = reader.attribute()
        type_ = self.types[number]
        if type_ not in value:
            raise NotCbor(f"the key attribute {self.names[number]} is not of type {type_}")
        return {"N": wire_numbers.plain(value["N"])} if type_ == "N" else value

    def encoded(self, item: Item) -> bytes:
        """The key of an item, whose numbers are in normal form: equal keys are equal bytes."""
        into = bytearray()
        if len(self.names) == 2:
            wire_values.attribute(item[self.names[0]], into)
        type_ = self.types[-1]
        content = item[self.names[-1]][type_]
        if type_ == "S":
            into += content.encode()
        elif type_ == "B":
            into += binascii.a2b_base64(content)
        elif len(self.names) == 2:
            into += wire_numbers.lex_encoded(content)
        else:
            wire_numbers.write(content, into)
        return bytes(into)


ITEMS = "items"
"""In the keys of the item cache's entries."""
Entry = tuple[tuple[str, str], bytes]
"""The key of an entry: whose it is, and what it is of."""


def item_entry(store: str, table: str, key: bytes) -> Entry:
    """The key of an item's entry: the bytes of table and key, in the form in which clients send them."""
    raw = table.encode()
    return (store, ITEMS), _head(raw) + raw + _head(key) + key


def table_entries(store: str, table: str) -> Entry:
    """What the keys of all entries of a table begin with."""
    raw = table.encode()
    return (store, ITEMS), _head(raw) + raw


def _head(raw: bytes) -> bytes:
    into = bytearray()
    write_head(BYTES, len(raw), into)
    return bytes(into)


def _plain(raw: bytes, type_: str) -> Attribute:
    if type_ == "B":
        return {"B": wire_values.base64(raw)}
    try:
        return {"S": raw.decode()}
    except UnicodeDecodeError:
        raise NotCbor("a key is not UTF-8") from None
