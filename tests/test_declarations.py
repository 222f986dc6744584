"""Each thing that a module declares is in the declaration of a service, exactly once."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from jedlik.aws.checks import Check
from jedlik.aws.service import identity_key_spaces, key_spaces
from jedlik.background.work import Duty, JobKind
from jedlik.config import Settings
from jedlik.dynamodb.replication import replicated
from jedlik.process.services import SERVICES
from jedlik.regions.keyspaces import STORE, Keyspace, Owner, arranged
from testing.source_tree import modules

JOB_KINDS = [kind for service in SERVICES for kind in service.job_kinds]
CHECKS = [check for service in SERVICES for check in (*service.checks, *service.identity_checks)]
DUTIES = [duty for service in SERVICES for duty in service.duties]


def declared(type_: type) -> Iterator[Any]:
    """All objects of a type at the top level of some module."""
    found = {id(value): value for module in every() for value in vars(module).values() if isinstance(value, type_)}
    return iter(found.values())


def makers(type_: type) -> Iterator[Callable[..., Any]]:
    """The public functions of all modules that return something of a type."""
    for module in every():
        for name, value in vars(module).items():
            if not inspect.isfunction(value) or value.__module__ != module.__name__ or name.startswith("_"):
                continue
            if value.__annotations__.get("return") == type_.__name__:
                yield value


def every() -> Iterator[ModuleType]:
    for name in modules():
        if name != "__main__":
            yield importlib.import_module(f"jedlik.{name}".removesuffix("."))


def once(found: list[Any], listed: list[Any]) -> None:
    """Check that the objects found are those listed."""
    left_out = [one for one in found if not any(one is other for other in listed)]
    assert left_out == []
    assert [one for one, count in Counter(map(id, listed)).items() if count > 1] == []
    assert len(found) == len(listed)


def test_every_kind_of_job_is_in_a_declaration() -> None:
    once(list(declared(JobKind)), JOB_KINDS)


def test_every_duty_is_in_a_declaration() -> None:
    once(list(makers(Duty)), DUTIES)


def test_replicas_keep_a_store_open() -> None:
    assert [wanted for service in SERVICES for wanted in service.standing] == [replicated.any_of]


def test_every_check_is_in_a_declaration() -> None:
    once(list(declared(Check)), CHECKS)


NAMES = [
    [kind.name for kind in JOB_KINDS],
    [duty(Settings()).name for duty in DUTIES],
    [check.name for check in CHECKS],
    [count for check in CHECKS for count in check.counts],
]


@pytest.mark.parametrize("names", NAMES, ids=["jobs", "duties", "checks", "counts"])
def test_names_differ(names: list[str]) -> None:
    """A lease, too, has the name of a duty."""
    assert len(set(names)) == len(names)


# Key spaces


def space(name: str, prefix: bytes, within: Keyspace | None = None) -> Keyspace:
    return Keyspace(name, prefix, Owner.STORE, "rows", (("name", "row"),), within)


TAKEN: dict[str, tuple[Keyspace, str]] = {
    "the byte of another": (space("new", b"\x10"), "the key space new begins as these do: store"),
    "the name of another": (space("store", b"\x11"), "there are two key spaces called store"),
    "two bytes": (space("new", b"\x11\x01"), "the key space new has the prefix b'\\x11\\x01'"),
    "no byte": (space("new", b""), "the key space new has the prefix b''"),
    "within one without its byte": (space("new", b"\x11name", STORE), "the key space new begins as these do: none"),
    "within one and all of it": (space("new", b"\x10", STORE), "the key space new has the prefix b'\\x10'"),
}
"""A key space declared beside the store's own, and the reason why it is refused."""


@pytest.mark.parametrize("what", TAKEN)
def test_no_two_key_spaces_have_the_same_byte(what: str) -> None:
    taken, refusal = TAKEN[what]
    with pytest.raises(ValueError) as raised:
        arranged((STORE, taken))
    assert str(raised.value) == refusal


def test_two_spaces_within_one_do_not_overlap() -> None:
    one, other = space("one", b"\x10a", STORE), space("other", b"\x10ab", STORE)
    with pytest.raises(ValueError, match="the key space other begins as these do: store and one"):
        arranged((STORE, one, other))


def test_every_key_space_is_in_a_declaration() -> None:
    in_both = list(dict.fromkeys((*key_spaces(SERVICES), *identity_key_spaces(SERVICES))))
    once(list(declared(Keyspace)), in_both)


def test_the_owner_of_a_row_follows_from_its_key() -> None:
    rows = Keyspace("rows", b"\x28", Owner.INDEX, "rows", ())
    start, end = rows.of(b"8 bytes.\x00\x05")
    assert rows.range[0] < start < end < rows.range[1]
    assert rows.owner_of(start + b"more") == b"8 bytes.\x00\x05"
