"""What a module declares stands in the declaration of a service, once: nothing is left out or there twice."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from jedlik.background.work import Duty, JobKind
from jedlik.config import Settings
from jedlik.process.services import SERVICES
from testing.source_tree import modules

JOB_KINDS = [kind for service in SERVICES for kind in service.job_kinds]
DUTIES = [duty for service in SERVICES for duty in service.duties]


def declared(type_: type) -> Iterator[Any]:
    """What of a type stands at the top of some module."""
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
    """Demand that what was found is what is listed."""
    left_out = [one for one in found if not any(one is other for other in listed)]
    assert left_out == []
    assert [one for one, count in Counter(map(id, listed)).items() if count > 1] == []
    assert len(found) == len(listed)


def test_every_kind_of_job_is_in_a_declaration() -> None:
    once(list(declared(JobKind)), JOB_KINDS)


def test_every_duty_is_in_a_declaration() -> None:
    once(list(makers(Duty)), DUTIES)


@pytest.mark.parametrize("names", [[kind.name for kind in JOB_KINDS], [duty(Settings()).name for duty in DUTIES]])
def test_names_differ(names: list[str]) -> None:
    """A lease, too, has the name of a duty."""
    assert len(set(names)) == len(names)
