"""What docs/architecture.md says of the code: where imports point, and how keys are laid out."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from jedlik.dynamodb.model import keys

ROOT = Path(__file__).parent.parent
PACKAGES = ROOT / "src" / "jedlik"
MAY_IMPORT = {
    "server": {"server", "api", "jobs", "model", "storage", "clock", "config", "region_names", "memory"},
    "api": {"api", "jobs", "replication", "model", "storage", "clock", "config", "region_names", "memory"},
    "maintenance": {"maintenance", "jobs", "replication", "model", "storage"},
    "jobs": {"jobs", "replication", "model", "storage", "config"},
    "replication": {"replication", "model", "storage", "config", "memory"},
    "model": {"model", "storage"},
    "storage": {"storage"},
}
"""For types alone more is allowed: the imports under TYPE_CHECKING are not looked at."""


def imports(body: list[ast.stmt]) -> Iterator[str]:
    """The modules of Jedlik that are imported while the program runs."""
    for statement in body:
        match statement:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.ImportFrom(module=str(module)) if module.startswith("jedlik."):
                yield module
            case ast.ImportFrom(module="jedlik", names=names):
                yield from (f"jedlik.{name.name}" for name in names if name.name != "__version__")
        for field in ("body", "orelse", "handlers", "finalbody"):
            yield from imports(getattr(statement, field, []))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    for path in (PACKAGES / package).rglob("*.py"):
        for module in imports(ast.parse(path.read_text()).body):
            assert module.split(".")[1] in MAY_IMPORT[package], f"{path.relative_to(ROOT)} imports {module}"


def test_the_model_knows_only_plain_types_of_the_storage() -> None:
    for path in (PACKAGES / "model").rglob("*.py"):
        text = path.read_text()
        assert "async def" not in text
        for names in re.findall(r"^\s*from jedlik\.storage\.engine import (.*)$", text, re.MULTILINE):
            assert set(names.split(", ")) <= {"Row", "Writes"}, path


def test_the_key_layout_in_the_document_is_that_of_the_code() -> None:
    document = (ROOT / "docs" / "architecture.md").read_text()
    [layout] = re.findall(r"^```\n(space  then.*?)^```$", document, re.DOTALL | re.MULTILINE)
    assert textwrap.indent(layout, "    ") in (keys.__doc__ or "")
