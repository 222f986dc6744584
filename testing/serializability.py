"""A checker of histories: is there a serial order of the transactions, true to real time, that explains what they saw?

Every item is a list that starts empty, and a transaction writes by appending its own number. So a reader of a list sees
which writes came before, and in what order. From this follow the edges of a precedence graph:

    ww  a write comes before the next one of the same item
    wr  a write comes before who has read it
    rw  who has not seen a write comes before it
    rt  a transaction that ended comes before all that began later

The history is strictly serializable if the graph has no cycle, and then each of its topological orders is a serial
order. The method is that of Elle (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
Observations", VLDB 2020); the graph is Adya's ("Weak Consistency", MIT 1999).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

Seen = tuple[int, ...]
"""The content of an item: the numbers of the transactions that have appended to it."""
Edge = tuple[object, object]
"""What comes before, and what comes after. A transaction by its number, a moment by its name."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction that took effect, or may have. Those that were refused are left out."""

    number: int
    """Its own, and what it appends."""
    start: float
    """When it was sent. Any clock will do that all clients share."""
    end: float = math.inf
    """When its client knew that it had taken effect; infinity if it never knew."""
    reads: Mapping[str, Seen] = field(default_factory=dict)
    """The items that it read, with their content before it."""
    appends: frozenset[str] = frozenset()
    """Items that it has written."""


class NotSerializable(Exception):
    """No serial order explains a history. The text gives the reason."""


def serial_order(history: Iterable[Transaction]) -> list[int]:
    """The numbers of the transactions in an order that explains what each has seen. Raises NotSerializable.

    Transactions with an unknown outcome are in it only if another one has seen them.
    """
    given = {transaction.number: transaction for transaction in history}
    chains = _chains(given.values())
    seen = {number for chain in chains.values() for number in chain}
    if unknown := seen - given.keys():
        raise NotSerializable(f"seen, but not done: {sorted(unknown)}")
    done = {number: t for number, t in given.items() if t.end < math.inf or number in seen}
    graph: dict[object, set[object]] = {number: set() for number in done}
    for before, after in [*_data_edges(done.values(), chains), *_time_edges(done.values())]:
        if before != after:
            graph.setdefault(after, set()).add(before)
    try:
        return [node for node in TopologicalSorter(graph).static_order() if isinstance(node, int)]
    except CycleError as error:
        cycle = [node for node in error.args[1] if isinstance(node, int)]
        raise NotSerializable("each before the next: " + ", ".join(str(given[number]) for number in cycle)) from None


def replay(order: Sequence[int], history: Iterable[Transaction]) -> None:
    """Do the transactions one after the other. Raises NotSerializable when one sees something other than it did in the
    history."""
    done = {transaction.number: transaction for transaction in history}
    items: dict[str, Seen] = defaultdict(tuple)
    for number in order:
        transaction = done[number]
        for item, content in transaction.reads.items():
            if items[item] != content:
                raise NotSerializable(f"{item} holds {items[item]}: {transaction}")
        for item in transaction.appends:
            items[item] += (number,)


def _chains(history: Iterable[Transaction]) -> dict[str, Seen]:
    """The longest content that was seen of each item. Raises NotSerializable if another one is not a beginning of
    it."""
    contents: dict[str, set[Seen]] = defaultdict(set)
    for transaction in history:
        for item, content in transaction.reads.items():
            contents[item].add(content)
    chains = {item: max(of_item, key=len) for item, of_item in contents.items()}
    for item, chain in chains.items():
        if len(set(chain)) < len(chain):
            raise NotSerializable(f"done twice: {item} holds {chain}")
        for content in contents[item]:
            if content != chain[: len(content)]:
                raise NotSerializable(f"written in two orders: {item} holds {content}, and {chain}")
    return chains


def _data_edges(done: Iterable[Transaction], chains: Mapping[str, Seen]) -> Iterator[Edge]:
    """The edges ww, wr and rw."""
    unseen: dict[str, list[int]] = defaultdict(list)
    """Writers of each item that come after all that was seen of it."""
    for transaction in done:
        for item in transaction.appends:
            if transaction.number not in chains.get(item, ()):
                unseen[item].append(transaction.number)
    for item, chain in chains.items():
        yield from pairwise(chain)
        yield from ((chain[-1], number) for number in unseen[item] if chain)
    for transaction in done:
        for item, content in transaction.reads.items():
            if content:
                yield content[-1], transaction.number
            following = chains[item][len(content) :][:1] or unseen[item]
            yield from ((transaction.number, number) for number in following)


def _time_edges(done: Iterable[Transaction]) -> Iterator[Edge]:
    """The edges rt, by way of a chain of moments, so that there are fewer edges than pairs of transactions."""
    ends = sorted({t.end for t in done if t.end < math.inf})
    moments = [f"at {end}" for end in ends]
    yield from pairwise(moments)
    for transaction in done:
        if transaction.end < math.inf:
            yield transaction.number, f"at {transaction.end}"
        earlier = bisect_left(ends, transaction.start)
        if earlier:
            yield moments[earlier - 1], transaction.number
