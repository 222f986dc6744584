"""Client tokens: they make a repeated transaction take effect once.

A transaction with a client token leaves a record of itself, in the same commit. The record's key contains the
ten-minute interval in which it was made, so that a look-up in this interval and its neighbours finds it, and old ones
are removed as a range (`items.old_tokens`). If the wall clock has jumped, a record is looked up under each possible
time, and is old only by both clocks.

A record is valid for the tables that its transaction wrote to, by their ids. If one of them was deleted and created
again since, nothing is left of the transaction's writes there, so it runs.

Source: "Idempotency" under "TransactWriteItems API" in the developer guide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from jedlik.clock import TrustedClock
from jedlik.dynamodb.errors import IdempotentParameterMismatchException
from jedlik.dynamodb.model import keys, limits
from jedlik.dynamodb.model.tables import Table
from jedlik.storage.engine import Writes
from jedlik.timekeeping import Reading


@dataclass(frozen=True, slots=True)
class ClientToken:
    """A client token, with the hash of the request that came with it."""

    fingerprint: str
    keys: list[bytes]
    """The possible keys of its record: in this interval of time, where a new one goes, in the last, and in the next,
    because a replay may overtake the request that it repeats."""
    now: float
    """Seconds since the epoch, by the trusted clock."""
    reading: Reading

    @classmethod
    def of(cls, operation: str, token: str, content: Any, clock: TrustedClock) -> ClientToken:
        """The token of a request whose `content` a replay must repeat. Each operation has tokens of its own."""
        now, reading = clock(), clock.read()
        times = [now, *clock.possible(reading, limits.IDEMPOTENCY_SECONDS)]
        intervals = [int(time // limits.IDEMPOTENCY_SECONDS) for time in times]
        near = dict.fromkeys(interval + by for interval in intervals for by in (0, -1, 1))
        plain = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        name = f"{operation}/{token}"
        return cls(
            hashlib.blake2b(plain, digest_size=16).hexdigest(),
            [keys.token_key(interval, name) for interval in near],
            now,
            reading,
        )

    def find(self, found: Mapping[bytes, bytes | None], tables: Sequence[Table]) -> list[float] | None:
        """The units that a replay returns, if one of the records `found` under `keys` is of the same transaction.

        `tables` are those that the request names, as they are now. Raises IdempotentParameterMismatchException if a
        record is of another transaction.
        """
        ids = {table.name: table.id.hex() for table in tables}
        for key in self.keys:
            raw = found[key]
            if raw is None:
                continue
            record = orjson.loads(raw)
            if self._age(record) >= limits.IDEMPOTENCY_SECONDS:
                continue
            if any(ids.get(name, table_id) != table_id for name, table_id in record.get("TableIds", {}).items()):
                continue
            if record["Fingerprint"] != self.fingerprint:
                raise IdempotentParameterMismatchException(
                    "The request was rejected because it was retried with the same client request token "
                    "but with different parameters"
                )
            units: list[float] = record["ReadUnits"]
            return units
        return None

    def record(self, units: list[float], tables: Sequence[Table], into: Writes) -> None:
        """Remember the transaction, which writes to `tables`, in the commit that makes it."""
        record = {
            "At": self.now,
            "Boot": self.reading.boot,
            "Steady": self.reading.steady,
            "Fingerprint": self.fingerprint,
            "ReadUnits": units,
            "TableIds": {table.name: table.id.hex() for table in tables},
        }
        into.put(self.keys[0], orjson.dumps(record))

    def _age(self, record: dict[str, Any]) -> float:
        """Seconds since a record was made, by the clock by which they are fewer."""
        age: float = self.now - record["At"]
        if record.get("Boot") == self.reading.boot:
            age = min(age, self.reading.steady - record["Steady"])
        return age
