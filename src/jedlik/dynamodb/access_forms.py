"""Forms of requests on items: what their accesses have in common (`aws.access.Form`).

Requests of one form are on the same table, as it was last seen, with the same members and the same texts in them:
expressions, names of attributes, parameters. What differs is the value of the partition key and, in a PutItem, the
attributes of the item. So the access of one of them is computed, without these, and is that of all. A test compares
them with what `accesses` computes.

A table is one object for as long as its descriptor is the same, and belongs to one region. So it stands for region and
account in a form's key, and a form keeps it, so that no other object gets its id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jedlik.aws.access import Access, Form, Formed, Forms, Known, Scope
from jedlik.dynamodb import access_conditions
from jedlik.dynamodb.access_conditions import PARTITION_KEYS
from jedlik.dynamodb.model.expressions.ast import InvalidExpression
from jedlik.dynamodb.model.tables import Table

Compute = Callable[[Scope, Mapping[str, Any], Known], tuple[Access, ...]]

MOST_FORMS = 1024
"""The most forms of one operation."""
LONGEST_NAME = 255
"""Characters of a table's name; clients can send others, which are not kept."""
LONGEST = 4096
"""Characters in a form's texts."""

_FREE, _TEXT, _KEY, _NAMES, _ITEM = range(5)
_MEMBERS = {
    **dict.fromkeys(
        ("ConsistentRead", "ExpressionAttributeValues", "Limit", "ReturnItemCollectionMetrics", "ScanIndexForward"),
        _FREE,
    ),
    **dict.fromkeys(
        (
            *("TableName", "IndexName", "Select", "ReturnValues", "ReturnConsumedCapacity"),
            *("ReturnValuesOnConditionCheckFailure", "KeyConditionExpression", "FilterExpression"),
            *("ConditionExpression", "UpdateExpression", "ProjectionExpression"),
        ),
        _TEXT,
    ),
    **dict.fromkeys(("Key", "ExclusiveStartKey"), _KEY),
    "ExpressionAttributeNames": _NAMES,
    "Item": _ITEM,
}
"""What of each member belongs to the form: nothing, its text, the names of attributes in it, the names with what they
stand for, or that it is there. Requests with other members have no form."""

_EVERY = ("TableName", "ReturnConsumedCapacity", "ExpressionAttributeNames")
_READ = (*_EVERY, "ConsistentRead", "ProjectionExpression")
_WRITE = (
    *(*_EVERY, "ExpressionAttributeValues", "ConditionExpression", "ReturnValues", "ReturnItemCollectionMetrics"),
    "ReturnValuesOnConditionCheckFailure",
)
_PAGE = (
    *(*_READ, "ExpressionAttributeValues", "IndexName", "Select", "Limit", "FilterExpression", "ExclusiveStartKey"),
)
_MEMBERS_OF = {
    operation: {member: _MEMBERS[member] for member in members}
    for operation, members in {
        "GetItem": (*_READ, "Key"),
        "UpdateItem": (*_WRITE, "Key", "UpdateExpression"),
        "DeleteItem": (*_WRITE, "Key"),
        "PutItem": (*_WRITE, "Item"),
        "Query": (*_PAGE, "KeyConditionExpression", "ScanIndexForward"),
        "Scan": _PAGE,
    }.items()
}
"""The members of each operation. It ignores others, like the name of an index in a GetItem, which therefore has no
form: the index's key would be taken for the table's."""
_LEADING = PARTITION_KEYS[0]
_ATTRIBUTES = ("dynamodb:Attributes",)
_WITH_LEADING_KEYS = {"GetItem": "Key", "UpdateItem": "Key", "DeleteItem": "Key", "PutItem": "Item"}
"""The member with the partition key's value."""
_PLAIN = ("GetItem", "DeleteItem", "PutItem")
"""The operations of which requests are common that have nothing else."""
FORMED = (*_WITH_LEADING_KEYS, "Query", "Scan")
"""The operations whose requests have forms."""


class _RequestForm(Form):
    """A form, and where its requests have what varies."""

    __slots__ = ("keys", "member", "named", "partition", "seen", "sort")

    def __init__(
        self, access: Access, seen: Table, member: str | None, partition: str, named: tuple[str, ...] | None
    ) -> None:
        keys = (*(_LEADING if member else ()), *(_ATTRIBUTES if named is not None else ()))
        context = {key: values for key, values in access.context.items() if key not in keys}
        varying = ((_LEADING,) if member else ()) + ((_ATTRIBUTES,) if named is not None else ())
        super().__init__(access._replace(context=context), varying)
        self.seen = seen
        self.member = member
        """The member that has the partition key's value; None if no value of it is known."""
        self.partition = partition
        """What has it there: an attribute, or a :placeholder."""
        self.named = named
        """The attributes that expressions name besides those of an item; None if there is no item, and all attributes
        belong to the form."""
        self.keys, self.sort = len(seen.key), seen.key[-1].name
        """The number of attributes of the table's key, and the last of them."""


def of(operation: str, compute: Compute) -> Forms:
    """The forms of an operation's requests, by what `compute` finds to be their accesses."""
    forms: dict[tuple[object, ...], _RequestForm | None] = {}
    members = _MEMBERS_OF[operation]

    def form(scope: Scope, request: Mapping[str, Any], known: Known) -> Formed | None:
        try:
            shape = (id(known.get(request["TableName"])), *_shape(request, members))
            if shape in forms:
                found = forms[shape]
            else:
                found = forms[shape] = make(scope, request, known)
            if found is None or found.member is None:
                return None if found is None else (found, ())
            value = request[found.member][found.partition]
            text = value.get("S")
            leading = (text,) if type(text) is str and len(value) == 1 else access_conditions.texts((value,))
            named = found.named
            if named is None:
                return found, (leading,)
            item = request["Item"]
            return found, (leading, (*item, *named) if named else item)
        except (*_OF_WRONG_SHAPE, _Formless):
            return None

    def make(scope: Scope, request: Mapping[str, Any], known: Known) -> _RequestForm | None:
        """The form of a request, and of others like it."""
        seen = known.get(request["TableName"])
        if not isinstance(seen, Table) or _length(request) > LONGEST:
            raise _Formless
        if len(forms) >= MOST_FORMS:
            forms.clear()
        index = request.get("IndexName")
        [access] = compute(scope, request, known)
        partition = access_conditions.partition_key(seen, index)
        if partition is None or len(partition) != 1 or access.context.keys() & _OTHER_KEYS:
            return None
        named = tuple(access_conditions.attributes({**request, "Item": {}})) if operation == "PutItem" else None
        member, name = _place(operation, request, partition[0])
        if member is None and "dynamodb:LeadingKeys" in access.context:
            return None
        return _RequestForm(access, seen, member, name, named)

    return _plain(form, operation) if operation in _PLAIN else form


def _plain(form: Forms, operation: str) -> Forms:
    """The same, sooner for a request that has a table, a key or an item, and perhaps ConsistentRead."""
    plain: dict[str, _RequestForm] = {}
    member = _WITH_LEADING_KEYS[operation]
    is_put = operation == "PutItem"

    def plain_form(scope: Scope, request: Mapping[str, Any], known: Known) -> Formed | None:
        if len(request) != 2 and not (len(request) == 3 and "ConsistentRead" in request):
            return form(scope, request, known)
        try:
            name, key = request["TableName"], request[member]
            found = plain.get(name)
            if found is None or found.seen is not known.get(name):
                return remembered(scope, request, known)
            value = key[found.partition]
            text = value.get("S")
            if type(text) is str and len(value) == 1:
                if is_put:
                    return found, ((text,), key)
                if len(key) == found.keys and found.sort in key:
                    return found, ((text,),)
        except _OF_WRONG_SHAPE:
            return None
        return form(scope, request, known)

    def remembered(scope: Scope, request: Mapping[str, Any], known: Known) -> Formed | None:
        """The form of a request, which is that of all plain requests for its table if the key is whole."""
        formed = form(scope, request, known)
        if formed is None:
            return None
        found, name = formed[0], request["TableName"]
        assert isinstance(found, _RequestForm)
        is_whole = is_put or request[member].keys() == found.seen.key_names
        if found.member is not None and is_whole and len(name) <= LONGEST_NAME:
            if len(plain) >= MOST_FORMS:
                plain.clear()
            plain[name] = found
        return formed

    return plain_form


class _Formless(Exception):
    """A request has no form that is worth remembering."""


_OF_WRONG_SHAPE = (AttributeError, InvalidExpression, LookupError, TypeError, ValueError)
"""What a request raises here that its handler refuses."""
_OTHER_KEYS = frozenset(key for keys in PARTITION_KEYS[1:] for key in keys)


def _shape(request: Mapping[str, Any], members: Mapping[str, int]) -> tuple[object, ...]:
    """All that determines the form of a request of some table with these members. Raises _Formless if it has none."""
    found: list[object] = []
    for member, value in request.items():
        kind = members.get(member)
        if kind is _FREE:
            continue
        if kind is _TEXT and type(value) is str:
            found += (member, value)
        elif kind is _KEY and type(value) is dict:
            found += (member, tuple(value))
        elif kind is _NAMES and type(value) is dict:
            found += (member, tuple(value.items()))
        elif kind is _ITEM and type(value) is dict:
            found.append(member)
        else:
            raise _Formless
    return tuple(found)


def _length(request: Mapping[str, Any]) -> int:
    """Characters of the texts that belong to a request's form."""
    total = 0
    for member, value in request.items():
        kind = _MEMBERS.get(member)
        if kind is _TEXT:
            total += len(value)
        elif kind is _KEY or kind is _NAMES:
            total += sum(len(name) for name in value)
        if kind is _NAMES:
            total += sum(len(name) for name in value.values())
    return total


def _place(operation: str, request: Mapping[str, Any], partition: str) -> tuple[str | None, str]:
    """The member of a request that has the partition key's value, and under which name; no member if there is no such
    place, or more than one."""
    if operation != "Query":
        return _WITH_LEADING_KEYS.get(operation), partition
    names = request.get("ExpressionAttributeNames", {})
    equalities = access_conditions.equated(request.get("KeyConditionExpression", ""))
    found = [placeholder for name, placeholder in equalities if names.get(name, name) == partition]
    return ("ExpressionAttributeValues", found[0]) if len(found) == 1 else (None, "")
