"""The service's model: which operations there are, and what the shapes of their requests look like.

It is botocore's, of which only the data files are read, with what `shape_overrides` says of it.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from jedlik.dynamodb import shape_overrides as overrides


@cache
def model(service: str) -> dict[str, Any]:
    """It, without its documentation. Importing botocore would take longer than reading the file."""
    botocore = find_spec("botocore")
    if botocore is None or botocore.submodule_search_locations is None:
        raise RuntimeError("botocore is not installed")
    versions = Path(botocore.submodule_search_locations[0], "data", service).iterdir()
    path = max(version for version in versions if version.is_dir()) / "service-2.json.gz"
    read = orjson.loads(gzip.decompress(path.read_bytes()))
    return {
        "operations": {
            name: operation["input"]["shape"] for name, operation in read["operations"].items() if "input" in operation
        },
        "shapes": {name: _amended(name, shape) for name, shape in read["shapes"].items()},
    }


def _amended(name: str, shape: dict[str, Any]) -> dict[str, Any]:
    """A shape of the model with what the overrides say of it, and with each member's shape by name."""
    shape.pop("documentation", None)
    amendment = overrides.SHAPES.get(name, {})
    shape = amendment if "type" in amendment else shape | amendment
    if name in overrides.ENUM_SETS:
        shape = shape | {"enum": overrides.ENUM_SETS[name]}
    if shape["type"] == "structure":
        members = shape["members"]
        order = [*overrides.FIRST_MEMBERS.get(name, ()), *members]
        shape["members"] = {member: members[member]["shape"] for member in order}
    return shape


def operation_names(service: str = "dynamodb") -> frozenset[str]:
    """The operations that the service has, whether or not they are done here."""
    return frozenset(model(service)["operations"])
