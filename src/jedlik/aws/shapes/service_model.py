"""Service models: the operations, and the shapes of their requests.

The models are botocore's, of which only the data files are read, with the departures of each service (`ServiceShapes`).
Importing botocore would take longer than reading a file.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from jedlik.aws.shapes.service_shapes import Definitions, ServiceShapes


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """A service's model, in the form in which its requests are checked."""

    operations: dict[str, str]
    """The operations that have an input, with the name of its shape."""
    shapes: Definitions
    """Structures have the names of their members' shapes, in the order in which they are checked."""


@cache
def model(service: ServiceShapes) -> ServiceModel:
    """The model of a service with all of its departures."""
    given = kept(service.service, _last_version(service.service))
    return ServiceModel(
        {name: operation["input"]["shape"] for name, operation in given["operations"].items() if "input" in operation},
        {name: _amended(service, name, shape) for name, shape in given["shapes"].items()},
    )


def read(service: str, version: str | None = None) -> dict[str, Any]:
    """A service's model from the file of a version, or of the last, without its documentation."""
    read: dict[str, Any] = orjson.loads(gzip.decompress(_path(service, version).read_bytes()))
    for documented in (*read["shapes"].values(), *read["operations"].values()):
        documented.pop("documentation", None)
    for shape in read["shapes"].values():
        for member in shape.get("members", {}).values():
            member.pop("documentation", None)
    return read


@cache
def kept(service: str, version: str) -> dict[str, Any]:
    """The same, read once for all who need it, while an event loop waits. Nobody may change it."""
    return read(service, version)


def data_folder() -> Path:
    """Where botocore keeps its data files."""
    botocore = find_spec("botocore")
    if botocore is None or botocore.submodule_search_locations is None:
        raise RuntimeError("botocore is not installed")
    return Path(botocore.submodule_search_locations[0], "data")


def _path(service: str, version: str | None) -> Path:
    return data_folder() / service / (version or _last_version(service)) / "service-2.json.gz"


def _last_version(service: str) -> str:
    return max(found.name for found in (data_folder() / service).iterdir() if found.is_dir())


def _amended(service: ServiceShapes, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """A shape of the model with the service's departures, and with each member's shape by name."""
    amendment = service.shapes.get(name, {})
    shape = dict(amendment) if "type" in amendment else {**given, **amendment}
    if name in service.enum_sets:
        shape["enum"] = service.enum_sets[name]
    if shape["type"] == "structure":
        members = shape["members"]
        order = [*service.first_members.get(name, ()), *members]
        shape["members"] = {member: members[member]["shape"] for member in order}
    return shape


@cache
def operation_names(service: str) -> frozenset[str]:
    """The operations of a service, whether or not they are supported here."""
    return frozenset(read(service)["operations"])
