"""Flipped bits of `data.mdb`: each is found, refused, or changes nothing, and the answers given meanwhile are right.

A server writes a small store and is killed or stopped, and answers of all kinds are kept. The bytes of its file are
sorted by their purpose: meta pages, heads of pages, offsets, heads of nodes, keys, heads of values, values, lists of
free pages, and unused bytes. Bits of each kind are flipped, one at a time, and examined in two ways:

    the checks      `jedlik check --pages` finds it, or a checksum does, or the store is refused by name; or nobody
                    sees it, and then every row is what it was
    the handlers    of a server that opens the store as it is: it is refused, or each answer is the right one or a fault
                    of ours

LMDB trusts its pages, so each examination is in another process; the number of those that this ends is counted.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import struct
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from jedlik.aws.errors import ServiceError
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb import lmdb_file
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.lmdb_pages import DATA, metas, newest_meta
from testing.data_folders import store_in
from testing.jedlik_process import Server
from torture.expected import demand, make_table
from torture.reopened import ENVIRONMENT, REGION, Reopened
from torture.writers import BY_GROUP, GROUPS, TABLE, Item, item

ITEMS = 60
ENDS = ("stopped", "killed", "killed after a checkpoint")
"""How a server leaves a store. A recovery writes again what is not in the last checkpoint, so it hides some flips."""
CHECKPOINT_SECONDS = 2.0
"""In which the committer surely makes one."""
_SHOWN = 500
"""Characters to show of a wrong answer."""
ROUND = 100
"""Flips of one store."""
OWNER = "pages"
_PAGE, _HEAD, _NODE_HEAD, _VALUE_HEAD = 4096, 24, 8, 12
_META_PAGES = 2
_NO_ROOT = (1 << 64) - 1

Call = tuple[str, dict[str, Any]]
Kinds = dict[str, list[int]]
"""Offsets in the file, by the purpose of the bytes there."""


class Flipped:
    """What a run has done."""

    def __init__(self) -> None:
        self.found: Counter[tuple[str, str]] = Counter()
        """By the kind of byte, and what saw the flip."""
        self.served: Counter[tuple[str, str]] = Counter()
        """By the kind of byte, and the outcome of serving it."""

    def __str__(self) -> str:
        lines = [f"{self.found.total()} flipped bits"]
        for kind in sorted({kind for kind, _ in self.found}):
            seen, served = (
                ", ".join(f"{number} {what}" for (of, what), number in sorted(counts.items()) if of == kind)
                for counts in (self.found, self.served)
            )
            lines.append(f"  {kind}: {seen}; served: {served}")
        return "\n".join(lines)


def run(folder: Path, random: Random, flips: int, say: Callable[[str], None]) -> Flipped:
    """Flip this number of bits. Raises Broken."""
    done = Flipped()
    part = 0
    while done.found.total() < flips:
        store = _written(folder / str(part), random, end=ENDS[part % len(ENDS)])
        whole = (store / DATA).read_bytes()
        kinds = kinds_of(whole)
        rows = _in_a_child(_rows, store, folder / "right")
        right = _in_a_child(_answers, store, folder / "right")
        demand(isinstance(rows, list) and isinstance(right, list), f"an undamaged store: {rows}, {right}")
        for number in range(min(ROUND, flips - done.found.total())):
            kind = sorted(kinds)[number % len(kinds)]
            at, bit = random.choice(kinds[kind]), random.randrange(8)
            flipped = bytearray(whole)
            flipped[at] ^= 1 << bit
            look_at(store, folder / "flipped", bytes(flipped), (kind, at, bit), (rows, right), done)
        say(str(done))
        part += 1
    return done


def _written(folder: Path, random: Random, end: str) -> Path:
    """A store that a server left in one of the ENDS: items, some long, some changed or deleted, indexes, a stream."""
    folder.mkdir()
    server = Server(folder / "log", ENVIRONMENT, data_dir=folder / "data", workers=1)
    try:
        client = server.client()
        make_table(client)
        for _ in range(2):
            for number in random.sample(range(ITEMS), ITEMS * 2 // 3):
                client.put_item(TableName=TABLE, Item=_item(number, random.randrange(1, 300)))
        for number in range(0, ITEMS, 7):
            client.delete_item(TableName=TABLE, Key=_key(number))
        if end == "stopped":
            server.stop()
        elif end == "killed after a checkpoint":
            time.sleep(CHECKPOINT_SECONDS)
    finally:
        server.kill()
    return store_in(folder / "data", REGION)


def _item(number: int, version: int) -> Item:
    # None of them expires, and some have pages of their own.
    one = item(OWNER, number, version)
    one.pop("expires", None)
    return one | ({"long": {"S": "x" * 9000}} if number % 9 == 0 else {})


def _key(number: int) -> Item:
    return {"owner": {"S": OWNER}, "number": {"N": str(number)}}


def look_at(
    store: Path, copy: Path, flipped: bytes, flip: tuple[str, int, int], known: tuple[Any, Any], done: Flipped
) -> None:
    """Check the requirements of a copy of a store with a flipped bit; `known` are the rows and answers of the store."""
    kind, at, bit = flip
    rows, right = known
    what = f"{kind}: bit {bit} of byte {at}"
    seen = _in_a_child(_seen, store, copy, flipped)
    demand(not seen.startswith("ended"), f"{what}: a check was {seen}")
    if seen == "nobody":
        demand(_in_a_child(_rows, store, copy, flipped) == rows, f"{what}: nobody sees it, rows differ")
    done.found[kind, seen] += 1
    answers = _in_a_child(_answers, store, copy, flipped)
    done.served[kind, _judged(answers, right, what)] += 1


def _judged(answers: Any, right: Any, what: str) -> str:
    """The outcome of serving a store. Raises Broken for a wrong answer."""
    if isinstance(answers, str):
        demand(not answers.startswith("ended"), f"{what}: a server was {answers}")
        return answers.split(":")[0]
    wrong = [
        (call, answer)
        for (call, answer), (_, expected) in zip(answers, right, strict=True)
        if answer not in (expected, "fault")
    ]
    demand(not wrong, lambda: f"{what}: {str(wrong[0])[:_SHOWN]} is wrong")
    return "right" if answers == right else "right or a fault"


# The examiner, in another process


def _in_a_child(look: Callable[[Path], Any], store: Path, copy: Path, data: bytes | None = None) -> Any:
    """What `look` finds in a copy of a store (`_copy`); "ended by ..." if that ended it."""
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(told)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            said: Any = look(_copy(store, copy, data))
        except BaseException as error:
            said = f"ended by {type(error).__name__}: {error}"
        with os.fdopen(telling, "wb") as pipe:
            pickle.dump(said, pipe)
        os._exit(0)
    os.close(telling)
    with os.fdopen(told, "rb") as pipe:
        said = pipe.read()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return pickle.loads(said) if ended == 0 else f"ended by signal {-ended}"


def _seen(store: Path) -> str:
    """What sees the damage, in the steps of `jedlik check --pages`."""
    try:
        if next(iter(lmdb_file.page_problems(store)), None) is not None:
            return "pages"
        with lmdb_file.view(store) as view:
            return "nobody" if next(view.damaged(), None) is None else "checksum"
    except StorageError:
        return "refused"


def _rows(store: Path) -> list[tuple[bytes, bytes]] | str:
    try:
        with lmdb_file.view(store) as view:
            return list(view.rows(b"\x01", b"\xff" * 2000))
    except StorageError as error:
        return f"refused: {error}"


def _answers(store: Path) -> list[tuple[Call, Any]] | str:
    """The answers of handlers over a store."""
    return asyncio.run(_asked(store))


async def _asked(store: Path) -> list[tuple[Call, Any]] | str:
    try:
        engine = LmdbEngine.open(store, durable=True)
    except StorageError as error:
        return f"refused: {error}"
    try:
        left = Reopened(engine, store)
    except (StorageError, AssertionError) as error:  # A server, too, refuses a store without its secret.
        return f"refused: {error}"
    return [(call, await _answer(left, call)) for call in _calls()]


async def _answer(left: Reopened, call: Call) -> Any:
    try:
        return await left.call(call[0], **call[1])
    except ServiceError as error:
        return f"{type(error).__name__}: {error}"
    except Exception:  # The front turns all others into a fault of ours.
        return "fault"


def _calls() -> list[Call]:
    calls: list[Call] = [("GetItem", {"TableName": TABLE, "Key": _key(number)}) for number in range(ITEMS)]
    calls += [("Scan", {"TableName": TABLE}), ("Scan", {"TableName": TABLE, "IndexName": BY_GROUP})]
    condition = {"KeyConditionExpression": "#g = :g", "ExpressionAttributeNames": {"#g": "group"}}
    for group in range(GROUPS):
        values = {"ExpressionAttributeValues": {":g": {"S": f"group {group}"}}}
        calls.append(("Query", {"TableName": TABLE, "IndexName": BY_GROUP} | condition | values))
    owned = {"KeyConditionExpression": "#o = :o", "ExpressionAttributeNames": {"#o": "owner"}}
    calls.append(("Query", {"TableName": TABLE, "ExpressionAttributeValues": {":o": {"S": OWNER}}} | owned))
    calls.append(("DescribeTable", {"TableName": TABLE}))
    return calls


def _copy(store: Path, folder: Path, data: bytes | None = None) -> Path:
    """A copy of a store, with another data file if one is given."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    copy = folder / REGION
    copy.mkdir()
    for path in store.iterdir():
        if path.is_file():
            shutil.copyfile(path, copy / path.name)
    if data is not None:
        (copy / DATA).write_bytes(data)
    return copy


# What bytes are for


def kinds_of(data: bytes) -> Kinds:
    """The bytes of a file, by their purpose in its newest state."""
    kinds: dict[int, str] = {}

    def take(kind: str, begin: int, size: int) -> None:
        kinds.update(dict.fromkeys(range(begin, begin + size), kind))

    file = os.memfd_create("data")
    try:
        os.write(file, data)
        newest = newest_meta(metas(file))
    finally:
        os.close(file)
    assert newest is not None
    for number in range(_META_PAGES):
        take("meta page", number * _PAGE, len(newest[1]))
    *_, free, rows, _, _ = struct.unpack("=24x I I 16x I 36x Q 40x Q Q Q", newest[1])
    for root, is_free in ((free, True), (rows, False)):
        todo = [root] if root != _NO_ROOT else []
        while todo:
            page = todo.pop()
            begin = page * _PAGE
            flags, lower = struct.unpack_from("=18x H H", data, begin)
            take("head of a page", begin, _HEAD)
            take("offset", begin + _HEAD, lower)
            for [offset] in struct.iter_unpack("=H", data[begin + _HEAD : begin + _HEAD + lower]):
                node = begin + _HEAD + offset
                low, high, node_flags, key_size = struct.unpack_from("=4H", data, node)
                take("head of a node", node, _NODE_HEAD)
                take("key" if not flags & 1 else "key of a branch", node + _NODE_HEAD, key_size)
                if flags & 1:
                    todo.append(low | high << 16 | node_flags << 32)
                    continue
                at, size = node + _NODE_HEAD + key_size + key_size % 2, low | high << 16
                if node_flags:
                    take("where a value is", at, 24)
                    [first] = struct.unpack_from("=Q", data, at)
                    take("head of a page", first * _PAGE, _HEAD)
                    at = first * _PAGE + _HEAD
                if is_free:
                    take("list of free pages", at, size)
                else:
                    take("head of a value", at, min(size, _VALUE_HEAD))
                    take("value", at + _VALUE_HEAD, size - _VALUE_HEAD)
    found: Kinds = {}
    for at in range(len(data)):
        found.setdefault(kinds.get(at, "what nothing uses"), []).append(at)
    return found
