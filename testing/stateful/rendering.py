"""Commands, readings and expressions in DynamoDB's two languages: requests with expressions, and PartiQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from testing.stateful.dynamodb_model import Check, Command, Delete, Ordered, Put, Reading, Table, Update
from testing.stateful.expression_trees import (
    At,
    Between,
    Both,
    Clause,
    Compare,
    Condition,
    Constant,
    Default,
    Exists,
    Function,
    In,
    Joined,
    Not,
    Path,
    Size,
    Sum,
)
from testing.stateful.plain_values import Item, Value, Wire, item_on_wire, kind, on_wire

Node = Condition | At | Size | Constant | Sum | Default | Joined


class Expressions:
    """The expressions of one request, and the placeholders that they share."""

    is_partiql = False

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def name(self, name: str) -> str:
        self._names["#" + name] = name
        return "#" + name

    def value(self, value: Value) -> str:
        placeholder = f":{len(self._values)}"
        # Items have their sets in reverse order: the order must not matter.
        self._values[placeholder] = on_wire(value, backwards=True)
        return placeholder

    @property
    def members(self) -> Wire:
        """The members that the expressions add to the request."""
        members: Wire = {}
        if self._names:
            members["ExpressionAttributeNames"] = self._names
        if self._values:
            members["ExpressionAttributeValues"] = self._values
        return members

    def path(self, path: Path) -> str:
        text = ""
        for step in path:
            text += f"[{step}]" if isinstance(step, int) else ("." if text else "") + self.name(step)
        return text

    def text(self, node: Node) -> str:
        """A condition, or an assigned or compared value."""
        match node:
            case Constant(value):
                return self.value(value)
            case At(path):
                return self.path(path)
            case Size(path):
                return f"size({self.path(path)})"
            case Both(operator, left, right):
                return f"({self.text(left)} {operator} {self.text(right)})"
            case Not(negated):
                return f"(NOT {self.text(negated)})"
            case Compare(operator, left, right) | Sum(operator, left, right):
                return f"{self.text(left)} {operator} {self.text(right)}"
            case Between(operand, low, high):
                return f"({self.text(operand)} BETWEEN {self.text(low)} AND {self.text(high)})"
            case In(operand, candidates):
                opening, closing = "[]" if self.is_partiql else "()"
                listed = self.text(operand), ", ".join(map(self.text, candidates))
                return f"{listed[0]} IN {opening}{listed[1]}{closing}"
            case Exists(path, negated):
                return self.existence(path, negated)
            case Function(name, path, argument):
                return f"{name}({self.path(path)}, {self.text(argument)})"
            case Default(path, otherwise):
                return f"if_not_exists({self.path(path)}, {self.text(otherwise)})"
            case Joined(first, second):
                return f"list_append({self.text(first)}, {self.text(second)})"

    def existence(self, path: Path, negated: bool) -> str:
        return f"attribute_{'not_' if negated else ''}exists({self.path(path)})"

    def compared(self, name: str, condition: Ordered) -> str:
        """A condition on a key attribute."""
        text, values = self.name(name), [self.value(value) for value in condition.operands]
        if condition.operator == "begins_with":
            return f"begins_with({text}, {values[0]})"
        return f"{text} {condition.operator} {' AND '.join(values)}"


class Statement(Expressions):
    """One PartiQL statement and its parameters."""

    is_partiql = True

    def name(self, name: str) -> str:
        return f'"{name}"'

    def value(self, value: Value) -> str:
        super().value(value)
        return "?"

    def existence(self, path: Path, negated: bool) -> str:
        return f"{self.path(path)} IS {'' if negated else 'NOT '}MISSING"

    def request(self, text: str) -> Wire:
        """The statement as a request, or as an element of one."""
        return {"Statement": text} | ({"Parameters": list(self._values.values())} if self._values else {})

    def where(self, key: Item, condition: Condition | None) -> str:
        parts = [f'"{name}" = {self.value(value)}' for name, value in key.items()]
        if condition is not None:
            parts.append(self.text(condition))
        return " WHERE " + " AND ".join(parts)


# Writes


def members_of(command: Command) -> Wire:
    """The parameters of PutItem, UpdateItem and DeleteItem, and of Put, Update, Delete and ConditionCheck."""
    expressions = Expressions()
    members: Wire = {"TableName": command.table}
    if isinstance(command, Put):
        members["Item"] = item_on_wire(command.item)
    else:
        members["Key"] = item_on_wire(command.key)
    if isinstance(command, Update) and command.clauses:
        members["UpdateExpression"] = _update(command.clauses, expressions)
    if command.condition is not None:
        members["ConditionExpression"] = expressions.text(command.condition)
    if command.tells:
        members["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return members | expressions.members


def transaction_element(command: Command) -> Wire:
    """A TransactWriteItem."""
    return {
        {Put: "Put", Update: "Update", Delete: "Delete", Check: "ConditionCheck"}[type(command)]: members_of(command)
    }


def batch_element(command: Command) -> Wire:
    """A WriteRequest."""
    if isinstance(command, Put):
        return {"PutRequest": {"Item": item_on_wire(command.item)}}
    assert isinstance(command, Delete)
    return {"DeleteRequest": {"Key": item_on_wire(command.key)}}


def _update(clauses: Sequence[Clause], expressions: Expressions) -> str:
    text = ""
    for verb, between in (("SET", " = "), ("REMOVE", ""), ("ADD", " "), ("DELETE", " ")):
        actions = [
            expressions.path(c.path) + between + ("" if c.source is None else expressions.text(c.source))
            for c in clauses
            if c.verb == verb
        ]
        if actions:
            text += f" {verb} {', '.join(actions)}"
    return text


def has_statement(command: Command) -> bool:
    """Whether PartiQL can express a command: an INSERT has no condition, and an UPDATE cannot ADD to a number."""
    if isinstance(command, Put):
        return command.condition is None
    if not isinstance(command, Update):
        return True
    added = [c.source for c in command.clauses if c.verb == "ADD"]
    return bool(command.clauses) and not any(isinstance(s, Constant) and kind(s.value) == "N" for s in added)


def statement(command: Command, returning: str = "NONE") -> Wire:
    """A command as a statement. `returning` is one of ReturnValues."""
    spoken = Statement()
    match command:
        case Put(table, item):
            attributes = ", ".join(f"'{name}': {spoken.value(value)}" for name, value in item.items())
            text = f'INSERT INTO "{table}" VALUE {{{attributes}}}'
        case Update(table, key, clauses, condition):
            text = f'UPDATE "{table}"{"".join(_clause(c, spoken) for c in clauses)}{spoken.where(key, condition)}'
        case Delete(table, key, condition):
            text = f'DELETE FROM "{table}"{spoken.where(key, condition)}'
        case Check(table, key, condition):
            text = f'EXISTS(SELECT * FROM "{table}"{spoken.where(key, condition)})'
    if returning != "NONE":
        text += f" RETURNING {returning.replace('UPDATED', 'MODIFIED').replace('_', ' ')} *"
    told: Wire = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if command.tells else {}
    return spoken.request(text) | told


_SET_FUNCTIONS = {"ADD": "set_add", "DELETE": "set_delete"}


def _clause(clause: Clause, spoken: Statement) -> str:
    path = spoken.path(clause.path)
    if clause.source is None:
        return f" REMOVE {path}"
    source = spoken.text(clause.source)
    if clause.verb in _SET_FUNCTIONS:
        source = f"{_SET_FUNCTIONS[clause.verb]}({path}, {source})"
    return f" SET {path} = {source}"


# Reads


def projection(paths: Sequence[Path]) -> Wire:
    """The members of a request for these paths; none for everything."""
    expressions = Expressions()
    text = ", ".join(map(expressions.path, paths))
    return {"ProjectionExpression": text, **expressions.members} if paths else {}


def reading_members(reading: Reading, table: Table) -> Wire:
    """What Query and Scan take."""
    expressions = Expressions()
    members: Wire = {"TableName": reading.table}
    if reading.partition is not None:
        key = _key_names(reading, table)
        equal = [Ordered("=", (value,)) for value in reading.partition]
        conditions = zip(key, [*equal, *reading.sort], strict=False)
        members["KeyConditionExpression"] = " AND ".join(expressions.compared(*pair) for pair in conditions)
    if reading.index is not None:
        members["IndexName"] = reading.index
    if reading.filter is not None:
        members["FilterExpression"] = expressions.text(reading.filter)
    if reading.projection:
        members["ProjectionExpression"] = ", ".join(map(expressions.path, reading.projection))
    if reading.select is not None:
        members["Select"] = reading.select
    if reading.consistent:
        members["ConsistentRead"] = True
    return members | expressions.members


def select_statement(reading: Reading, table: Table, reverse: bool | None) -> Wire:
    """A reading as a SELECT. `reverse` is the order, if the statement gives one."""
    spoken = Statement()
    shown = ", ".join(map(spoken.path, reading.projection)) or "*"
    source = f'"{reading.table}"' + (f'."{reading.index}"' if reading.index is not None else "")
    names = _key_names(reading, table)
    equal = [Ordered("=", (value,)) for value in reading.partition or ()]
    parts = [spoken.compared(*pair) for pair in zip(names, [*equal, *reading.sort], strict=False)]
    if reading.filter is not None:
        parts.append(spoken.text(reading.filter))
    text = f"SELECT {shown} FROM {source}" + (" WHERE " + " AND ".join(parts) if parts else "")
    if reverse is not None:
        text += f' ORDER BY "{names[-1]}" {"DESC" if reverse else "ASC"}'
    return spoken.request(text) | ({"ConsistentRead": True} if reading.consistent else {})


def _key_names(reading: Reading, table: Table) -> tuple[str, ...]:
    return table.key if reading.index is None else table.indexes[reading.index].key
