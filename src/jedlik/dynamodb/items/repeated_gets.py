"""GetItems whose bodies differ from an earlier one in the texts of their keys only: one regular expression reads them
instead of the parser.

A program asks for items of a table with the same code, so its bodies are the same but for those texts. An earlier body
becomes a pattern in which they are open, and everything else is literal. Every body that matches would have been parsed
with the same result, but for these texts (RFC 8259):

- An open text is between two quotation marks of a JSON string, and has only printable ASCII without a quotation mark
  and a backslash. So the string ends where it ended before, and is what stands there.
- Where the texts stand is proven by parsing the body with others in their places.

A key has texts only if all its attributes are strings. All other requests are for `short_reads`, which this module must
agree with.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from jedlik.aws.context import Context
from jedlik.aws.service import Repeat
from jedlik.dynamodb import catalog
from jedlik.dynamodb.items import short_reads
from jedlik.dynamodb.items.parameters import Request, Response
from jedlik.dynamodb.model import plain_keys
from jedlik.dynamodb.model.keys import END, hashed
from jedlik.dynamodb.model.tables import Table

LONGEST = 1024
"""The longest body that becomes a pattern, in bytes."""
TEXT = rb"([ !#-\[\]-~]{1,%d}+)" % plain_keys.LONGEST


class RepeatedGet:
    """The GetItems that repeat one but for the texts of the key."""

    __slots__ = ("_consistent", "_match", "_name", "_partition", "_prefix", "_sort", "_table")

    def __init__(self, table: Table, name: str, consistent: bool, pattern: bytes, order: list[str]) -> None:
        """`order` has the names of the key's attributes as their texts come."""
        self._table = table
        self._name = name
        self._consistent = consistent
        self._match = re.compile(pattern).fullmatch
        partition, *sort = [order.index(attribute.name) for attribute in table.key]
        self._prefix = table.prefix
        self._partition = partition
        self._sort = sort[0] if sort else None

    def answer(self, context: Context, body: bytes) -> Response | None:
        """What the request with this body is answered; None if it is another, or has to be parsed."""
        found = self._match(body)
        if found is None:
            return None
        region, table = context.region, self._table
        if catalog.last_seen(region, self._name) is not table:
            return None
        texts = found.groups()
        key = self._prefix + hashed(texts[self._partition], region.secret)
        if self._sort is not None:
            key += texts[self._sort] + END
        return short_reads.got(context, table, self._name, key, self._consistent)


def learn(context: Context, asked: Request, body: bytes) -> Repeat | None:
    """What answers the GetItems that repeat one which `short_reads` has answered; None if its texts stand
    elsewhere in it, too, or are unusual."""
    name, key = asked["TableName"], asked["Key"]
    table = catalog.last_seen(context.region, name)
    if table is None or len(body) > LONGEST or any(attribute.type != "S" for attribute in table.key):
        return None
    places: list[tuple[int, str, bytes]] = []
    for attribute in table.key:
        text = orjson.dumps(key[attribute.name]["S"])
        if re.fullmatch(rb'"%b"' % TEXT, text) is None or body.count(text) != 1:
            return None
        places.append((body.index(text), attribute.name, text))
    places.sort()
    pattern, other, rest = b"", b"", body
    expected: dict[str, Any] = {}
    for _, attribute_name, text in places:
        before, _, rest = rest.partition(text)
        pattern += re.escape(before) + b'"' + TEXT + b'"'
        other += before + text[:-1] + b'~"'
        expected[attribute_name] = {"S": text[1:-1].decode() + "~"}
    if orjson.loads(other + rest) != {**asked, "Key": expected}:
        return None
    order = [attribute_name for _, attribute_name, _ in places]
    return RepeatedGet(table, name, asked.get("ConsistentRead", False), pattern + re.escape(rest), order).answer
