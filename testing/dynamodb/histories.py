"""Histories of a table: seeded writes, one after the other, and what the table holds after each of them."""

from __future__ import annotations

from random import Random
from typing import Any

from testing.dynamodb.handlers import Handlers

Item = dict[str, Any]
State = dict[str, Item]
"""The items, by their keys."""

KEYS = 40


class History:
    """The writes to a table whose partition key is `p`, each with a number of its own."""

    def __init__(self, handlers: Handlers, table: str, random: Random) -> None:
        self._handlers = handlers
        self._table = table
        self._random = random
        self.states: list[State] = [{}]
        """What the table held after each number of writes."""

    async def write(self) -> None:
        """Put or delete one of a few items."""
        number = len(self.states)
        state = dict(self.states[-1])
        key = f"k{self._random.randrange(KEYS)}"
        self.states.append(state)
        if self._random.random() < 0.3:
            state.pop(key, None)
            await self._handlers.call("DeleteItem", TableName=self._table, Key={"p": {"S": key}})
            return
        item = {"p": {"S": key}, "x": {"N": str(number)}, "text": {"S": "t" * self._random.randrange(60)}}
        state[key] = item
        await self._handlers.call("PutItem", TableName=self._table, Item=item)

    async def held(self, table: str) -> State:
        """What a table holds, by its own items; its index must hold the same."""
        found = (await self._handlers.call("Scan", TableName=table))["Items"]
        indexed = (await self._handlers.call("Scan", TableName=table, IndexName="by-x"))["Items"]
        state = {item["p"]["S"]: item for item in found}
        assert {item["p"]["S"]: item for item in indexed} == state
        return state
