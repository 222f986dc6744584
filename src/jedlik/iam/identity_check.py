"""The check of an identity store: entities, unique ids, access keys, passwords and counters agree with each other.

It reads one state of the store, in which each change is whole. Entities are few (some thousands an account), so their
names and ids are kept in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from jedlik.aws.checks import Check, Checking
from jedlik.aws.damage import DAMAGE, described
from jedlik.iam.identity_rows import (
    ACCESS_KEYS,
    COUNTS,
    GROUP,
    KINDS,
    PASSWORD_POLICY,
    PASSWORDS,
    TOKEN_KEYS,
    UNIQUE_IDS,
    USER,
    Kind,
    Row,
    access_key_key,
    attachments_key,
    boundaries_key,
    id_key,
    password_key,
    unpacked,
)
from jedlik.storage.counters import counter
from jedlik.storage.snapshot import Snapshot


@dataclass(slots=True)
class _Seen:
    """What was found of entities."""

    ids: dict[str, bytes] = field(default_factory=dict)
    """The key of each entity, by its unique id."""
    access_keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The unique id of the user of each access key that a user lists, and its status."""
    counts: Counter[bytes] = field(default_factory=Counter)
    """What the counters must be."""


def _problems(snapshot: Snapshot, checking: Checking) -> Iterator[str]:
    seen = _Seen()
    for kind in KINDS:
        yield from _of_kind(snapshot, kind, seen, checking)
    yield from _groups(snapshot, seen)
    yield from _unique_ids(snapshot, seen)
    yield from _access_keys(snapshot, seen, checking)
    yield from _passwords(snapshot, seen, checking)
    yield from _readable(snapshot, TOKEN_KEYS.range, "keys of session tokens", unpacked)
    yield from _counters(snapshot, seen)


CHECK = Check(
    name="identities",
    problems=_problems,
    summary="{users} users, {groups} groups, {roles} roles, {policies} policies and {access_keys} access keys",
)
_COUNTED = {b"u": "users", b"g": "groups", b"r": "roles", b"p": "policies"}


def _of_kind(snapshot: Snapshot, kind: Kind, seen: _Seen, checking: Checking) -> Iterator[str]:
    for key, value in snapshot.rows(*kind.range):
        checking.counts["items"] += 1
        if kind.letter in _COUNTED:
            checking.counts[_COUNTED[kind.letter]] += 1
        seen.counts[kind.count] += 1
        try:
            row = unpacked(value)
            name, unique_id = row[kind.name], row[kind.id]
            if kind.key(name) != key:
                yield f"{kind.title} {name} is under the key of another name ({key.hex()})"
            if unique_id in seen.ids:
                yield f"{kind.title} {name} has a unique id that another has, {unique_id}"
            seen.ids[unique_id] = key
            for one in row.get("AccessKeys", ()):
                seen.access_keys[one["AccessKeyId"]] = unique_id, one["Status"]
            seen.counts.update(attachments_key(arn) for arn in row.get("Attached", ()))
            if row.get("Boundary"):
                seen.counts[boundaries_key(row["Boundary"])] += 1
        except DAMAGE as error:
            yield f"{kind.title} under {key.hex()}: {described(error)}"


def _groups(snapshot: Snapshot, seen: _Seen) -> Iterator[str]:
    for key, value in snapshot.rows(*USER.range):
        row = _row(value)
        for group in () if row is None else row.get("Groups", ()):
            if not seen.ids.get(group, b"").startswith(GROUP.range[0]):
                yield f"User {row[USER.name] if row else key.hex()} is in a group that is not there, {group}"


def _unique_ids(snapshot: Snapshot, seen: _Seen) -> Iterator[str]:
    for unique_id, key in seen.ids.items():
        found = snapshot.get(id_key(unique_id))
        if found != key:
            where = "nowhere" if found is None else f"to {found.hex()}"
            yield f"the unique id {unique_id} leads {where}, and not to {key.hex()}"
    for key, _ in snapshot.rows(*UNIQUE_IDS.range):
        if _text(key, UNIQUE_IDS.prefix) not in seen.ids:
            yield f"there is a unique id that no entity has, {_text(key, UNIQUE_IDS.prefix)}"


def _access_keys(snapshot: Snapshot, seen: _Seen, checking: Checking) -> Iterator[str]:
    for access_key in seen.access_keys:
        if snapshot.get(access_key_key(access_key)) is None:
            yield f"the access key {access_key} of a user has no secret"
    for key, value in snapshot.rows(*ACCESS_KEYS.range):
        checking.counts["access_keys"] += 1
        access_key = _text(key, ACCESS_KEYS.prefix)
        try:
            row = unpacked(value)
            if seen.access_keys.get(access_key) != (row["UserId"], row["Status"]):
                yield f"the access key {access_key} is {row['Status']} and of {row['UserId']}, who does not list it so"
        except DAMAGE as error:
            yield f"the access key {access_key}: {described(error)}"


def _passwords(snapshot: Snapshot, seen: _Seen, checking: Checking) -> Iterator[str]:
    owners = {password_key(unique_id) for unique_id, key in seen.ids.items() if key.startswith(USER.range[0])}
    for key, _ in snapshot.rows(*PASSWORDS.range):
        if key != PASSWORD_POLICY and key not in owners:
            yield f"there is a password of no user under {key.hex()}"
    yield from _readable(snapshot, PASSWORDS.range, "password", unpacked)


def _counters(snapshot: Snapshot, seen: _Seen) -> Iterator[str]:
    for letter, what in ((b"n", "entities"), (b"a", "attachments"), (b"b", "boundaries")):
        prefix = COUNTS.prefix + letter
        stored = {key: counter(value) for key, value in snapshot.rows(prefix, COUNTS.prefix + bytes((letter[0] + 1,)))}
        wanted = {key: count for key, count in seen.counts.items() if key.startswith(prefix)}
        for key in sorted(stored.keys() | wanted.keys()):
            found, right = stored.get(key, 0), wanted.get(key, 0)
            if found != right:
                name = key[len(prefix) :].decode(errors="replace")
                yield f"the counter of {what} of {name} is {found}, and there are {right}"


def _readable(
    snapshot: Snapshot, where: tuple[bytes, bytes], name: str, read: Callable[[bytes], object]
) -> Iterator[str]:
    for key, value in snapshot.rows(*where):
        try:
            read(value)
        except DAMAGE as error:
            yield f"{name} under {key.hex()}: {described(error)}"


def _row(value: bytes) -> Row | None:
    try:
        return unpacked(value)
    except DAMAGE:
        return None  # `_of_kind` reports it.


def _text(key: bytes, prefix: bytes) -> str:
    return key[len(prefix) :].decode(errors="replace")
