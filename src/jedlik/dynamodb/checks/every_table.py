"""The check of every table: its descriptor, its items with all that belongs to them, and the versions of a replica."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from jedlik.aws.checks import Check, Checking
from jedlik.aws.damage import DAMAGE, described
from jedlik.dynamodb.checks import version_check
from jedlik.dynamodb.checks.table_check import TableCheck
from jedlik.dynamodb.model import descriptors, keys, log_readers, spaces
from jedlik.dynamodb.model.tables import Table
from jedlik.regions import table_keyring
from jedlik.storage.engine import NoKey
from jedlik.storage.snapshot import Snapshot


def readable(snapshot: Snapshot) -> dict[bytes, Table]:
    """The tables whose descriptors can be read, by their ids."""
    found = {}
    for _, raw in snapshot.rows(*spaces.DESCRIPTORS.range):
        with suppress(*DAMAGE):
            table = descriptors.parse(raw)
            found[table.id] = table
    return found


def _problems(snapshot: Snapshot, checking: Checking) -> Iterator[str]:
    yield from _of_names(snapshot)
    for table in readable(snapshot).values():
        checking.counts["tables"] += 1
        yield from (f"table {table.name}: {problem}" for problem in _of_table(snapshot, checking, table))


def _of_names(snapshot: Snapshot) -> Iterator[str]:
    """Compare descriptors with their keys and with each other."""
    names: dict[bytes, str] = {}
    for key, raw in snapshot.rows(*spaces.DESCRIPTORS.range):
        try:
            name = keys.name_of_descriptor_key(key)
            table = descriptors.parse(raw)
        except DAMAGE as error:
            yield f"descriptor under {key.hex()}: {described(error)}"
            continue
        if table.name != name:
            yield f"table {name}: its descriptor is that of {table.name}"
        if table.id in names:
            yield f"table {name}: it has the same id as {names[table.id]}"
        names[table.id] = table.name


def _of_table(snapshot: Snapshot, checking: Checking, table: Table) -> Iterator[str]:
    yield from _of_descriptor(snapshot, checking, table)
    check = TableCheck(snapshot, table, checking.secret)
    with suppress(NoKey):  # Nobody can read the items of a table whose key may not be used.
        yield from check.problems()
        if table.replica is not None:
            yield from version_check.problems(snapshot, table, checking.secret)
    checking.counts["items"] += check.items
    checking.counts["index_entries"] += check.entries


def _of_descriptor(snapshot: Snapshot, checking: Checking, table: Table) -> Iterator[str]:
    next_index = table.descriptor.next_index
    numbers = [index.number for index in table.indexes]
    if len(set(numbers)) < len(numbers) or not all(0 < n < next_index for n in numbers):
        yield f"its indexes have the numbers {numbers}, and the next is to have {next_index}"
    yield from checking.unfinished(table.descriptor)
    yield from _of_keys(snapshot, table)
    if table.descriptor.stream is not None:
        stream = keys.stream_key(table.name, table.descriptor.stream_label or "")
        if snapshot.get(stream) is None:
            yield "its changes are logged for a stream that is not there"
    wanted = log_readers.all_of(table.descriptor)
    if (table.log is not None) != bool(wanted):
        yield "its changes are logged for no reader" if wanted == () else "its changes are not logged for its readers"
    elif table.log is not None:
        lacks_old = not table.log.old_images and any(reader.old_images for reader in wanted)
        if lacks_old or (not table.log.new_images and any(reader.new_images for reader in wanted)):
            yield "its log lacks images that its readers want"


def _of_keys(snapshot: Snapshot, table: Table) -> Iterator[str]:
    """Compare the number of a table's key with the row of its keys."""
    number = table.descriptor.key_number
    raw = snapshot.get(table_keyring.row(table.id))
    try:
        current = 0 if raw is None else table_keyring.parse(raw).current.number
    except DAMAGE as error:
        yield f"its keys: {described(error)}"
        return
    if current != number:
        yield f"it is sealed with its key of the number {number}, and the last that it has is {current}"


CHECK = Check("tables", _problems, "{items} items with {index_entries} index entries in {tables} tables")
