"""The check of KMS keys: their rows agree with each other. Whether material opens is not seen: it is sealed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from jedlik.aws.checks import Check, Checking, unreadable
from jedlik.aws.damage import DAMAGE, described
from jedlik.kms import grant_records, key_rows
from jedlik.kms.alias_records import unpacked_alias
from jedlik.kms.grant_records import Grant, leading_rows
from jedlik.kms.key_names import is_key_id
from jedlik.kms.key_records import CUSTOMER, KmsKey, unpacked
from jedlik.storage.counters import counter
from jedlik.storage.engine import Row
from jedlik.storage.snapshot import Snapshot


def _problems(snapshot: Snapshot, checking: Checking) -> Iterator[str]:
    yield from unreadable(snapshot.rows(*key_rows.key_range()), "KMS key", _read_key)
    yield from unreadable(snapshot.rows(*key_rows.grant_range()), "grant", _read_grant)
    keys = {key.id: key for key in _readable(snapshot)}
    # A key that cannot be read is one line, and not one for each row that belongs to it.
    known = {key_rows.key_id_of(row) for row, _ in snapshot.rows(*key_rows.key_range())}
    yield from _aliases(snapshot, keys, known)
    yield from _materials(snapshot, keys, known)
    yield from _dates(snapshot, keys, known)
    yield from _grants(snapshot, keys, known)
    if known == keys.keys():
        customers = sum(key.manager == CUSTOMER for key in keys.values())
        counted = counter(snapshot.get(key_rows.COUNT))
        if counted != customers:
            yield f"there are {customers} KMS keys of customers, and {counted} were counted"


def _read_key(row: Row) -> KmsKey:
    key = unpacked(row[1])
    if key.id != key_rows.key_id_of(row[0]) or not is_key_id(key.id):
        raise ValueError(f"it is the key {key.id}")
    if key.current is not None and key.material(key.current) is None:
        raise ValueError("it has no material that is the current one")
    return key


def _read_grant(row: Row) -> Grant:
    grant = grant_records.unpacked_grant(row[1])
    if grant.id != key_rows.grant_of(row[0])[1]:
        raise ValueError(f"it is the grant {grant.id}")
    return grant


def _readable(snapshot: Snapshot) -> Iterator[KmsKey]:
    for row in snapshot.rows(*key_rows.key_range()):
        try:
            yield _read_key(row)
        except DAMAGE:
            continue  # It has been reported.


def _aliases(snapshot: Snapshot, keys: dict[str, KmsKey], known: set[str]) -> Iterator[str]:
    found: dict[str, str] = {}
    for row, value in snapshot.rows(*key_rows.alias_range()):
        name = key_rows.alias_of(row)
        try:
            found[name] = unpacked_alias(value).key_id
        except DAMAGE as error:
            found[name] = ""
            yield f"{name}: {described(error)}"
            continue
        key = keys.get(found[name])
        if found[name] not in known or (key is not None and name not in key.aliases):
            yield f"{name} names the KMS key {found[name]}, which does not have it"
    for key in keys.values():
        for name in key.aliases:
            if name not in found:
                yield f"KMS key {key.id}: it has no alias {name}"


def _materials(snapshot: Snapshot, keys: dict[str, KmsKey], known: set[str]) -> Iterator[str]:
    found = {key_rows.material_of(row) for row, _ in snapshot.rows(*key_rows.material_range())}
    wanted = {(key.id, bytes.fromhex(one.id)) for key in keys.values() for one in key.materials if one.is_here}
    for key_id, material in sorted(wanted - found):
        yield f"KMS key {key_id}: its material {material.hex()} is missing"
    for key_id, material in sorted(found - wanted):
        if key_id in keys or key_id not in known:
            yield f"KMS key {key_id}: there is material {material.hex()}, which it does not have"


def _dates(snapshot: Snapshot, keys: dict[str, KmsKey], known: set[str]) -> Iterator[str]:
    found = {row for row, _ in snapshot.rows(*key_rows.due_range())}
    wanted = {key_rows.due_row(key.due, key.id): key.id for key in keys.values() if key.due is not None}
    for row in sorted(wanted.keys() - found):
        yield f"KMS key {wanted[row]}: its next date is not noted"
    for row in sorted(found - wanted.keys()):
        _, key_id = key_rows.due_of(row)
        if key_id in keys or key_id not in known:
            yield f"KMS key {key_id}: a date is noted that it does not have"


def _grants(snapshot: Snapshot, keys: dict[str, KmsKey], known: set[str]) -> Iterator[str]:
    counts: Counter[str] = Counter()
    wanted: set[bytes] = set()
    for row in snapshot.rows(*key_rows.grant_range()):
        key_id, grant_id = key_rows.grant_of(row[0])
        counts[key_id] += 1
        if key_id not in known:
            yield f"grant {grant_id}: there is no KMS key {key_id}"
        try:
            wanted.update(leading_rows(key_id, _read_grant(row)))
        except DAMAGE:
            return  # What leads to it cannot be known.
    found = {row for space in (key_rows.all_grantees(), key_rows.all_retiring()) for row, _ in snapshot.rows(*space)}
    for missing in sorted(wanted - found):
        yield f"a grant is not found by its principals: {missing.hex()} is missing"
    for stray in sorted(found - wanted):
        yield f"{stray.hex()} leads to a grant that is not there"
    for key in keys.values():
        if key.deletion is None and key.grants != counts[key.id]:
            yield f"KMS key {key.id}: it has {counts[key.id]} grants, and {key.grants} were counted"


CHECK = Check("kms keys", _problems)
"""The check of keys, aliases, grants and dates."""
