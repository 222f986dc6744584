"""The rules of docs/architecture.md for the code: which folder may import which, and the layout of keys."""

from __future__ import annotations

import ast
import re
import textwrap

from jedlik.aws.service import identity_key_spaces, key_spaces
from jedlik.dynamodb.model import keys
from jedlik.process.services import SERVICES
from jedlik.regions import keyspaces
from testing.source_tree import PACKAGE, ROOT, circles, imports, modules

LAYERS = {
    "wire": set[str](),
    "storage": set[str](),
    "regions": {"storage"},
    "background": {"regions", "storage"},
    "aws": {"wire", "background", "regions", "storage"},
    "console": {"aws"},
    "dynamodb": {"aws", "background", "regions", "storage"},
    "iam": {"aws", "regions", "storage"},
    "kms": {"aws", "background", "regions", "storage"},
    "ec2": {"aws", "regions", "storage"},
    "sts": {"aws", "regions"},
    "tagging": {"aws", "regions"},
    "dax": {"aws", "background", "regions", "storage", "wire"},
    "upkeep": {"aws", "background", "dynamodb", "kms", "regions", "storage"},
    "process": {
        *(
            "aws",
            "background",
            "console",
            "dax",
            "dynamodb",
            "ec2",
            "iam",
            "kms",
            "regions",
            "storage",
            "sts",
            "tagging",
            "upkeep",
            "wire",
        ),
    },
    "cli": {"aws", "background", "dynamodb", "iam", "process", "regions", "storage", "upkeep", "wire"},
}
"""Each folder, and the folders that it may import, for types alone too."""
LEAVES = {
    "addresses",
    "buckets",
    "clock",
    "config",
    "loading",
    "memory",
    "owner_files",
    "peer_certificate",
    "region_names",
    "root_key",
    "secret_files",
    "settings_file",
    "timekeeping",
    "utf16",
    "other_kms",
    "vpc_endpoints",
}
"""Modules that every folder may import. They import nothing but each other."""
OF_WIRE = {
    "aws": {"wire.messages"},
    "console": {"wire.messages"},
    "dax": {
        "wire.messages",
        "wire.acceptor",
        "wire.certificates",
        "wire.open_connections",
        "wire.spinning",
    },  # It has a port of its own.
}
"""What these folders may import of it: HTTP is no concern of theirs."""
OUTSIDE = {"", "__main__"}
"""Modules that may import everything."""

VIOLATIONS: set[tuple[str, str]] = set()
"""Imports that point the wrong way today. The list may only shrink."""

CIRCLES: list[list[str]] = []
"""Modules that import each other today, in circles. The list may only shrink."""


def test_imports_point_one_way() -> None:
    wrong = {
        (importer, imported)
        for importer, every in imports().items()
        for imported in every
        if importer not in OUTSIDE and not _may_import(importer, imported)
    }
    assert wrong == VIOLATIONS


def test_the_overview_shows_every_room_and_leaf() -> None:
    document = (ROOT / "docs" / "architecture.md").read_text()
    [overview] = re.findall(r"^## The overview\n(.*?)^## ", document, re.DOTALL | re.MULTILINE)
    rooms = {path.parent.name for where in ("*", "dynamodb/*") for path in PACKAGE.glob(f"{where}/__init__.py")}
    assert (rooms | LEAVES) - set(re.findall(r"\w+", overview)) == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(imports()) == CIRCLES


def _may_import(importer: str, imported: str) -> bool:
    if importer in LEAVES:
        return imported in LEAVES
    folder, other = importer.partition(".")[0], imported.partition(".")[0]
    if folder in OF_WIRE and other == "wire":
        return imported in OF_WIRE[folder]
    return other == folder or other in LEAVES or other in LAYERS[folder]


def test_the_model_knows_only_plain_types_of_the_storage() -> None:
    for path in (PACKAGE / "dynamodb" / "model").rglob("*.py"):
        text = path.read_text()
        assert "async def" not in text
        for names in re.findall(r"^\s*from jedlik\.storage\.engine import (.*)$", text, re.MULTILINE):
            assert set(names.split(", ")) <= {"Row", "Writes", "entry_content", "entry_time", "stored_entry", "Mark"}, (
                path
            )


def test_the_layout_of_identity_stores_in_the_document_is_that_of_the_code() -> None:
    document = (ROOT / "docs" / "architecture.md").read_text()
    assert keyspaces.drawn(identity_key_spaces(SERVICES)) in document


def test_the_model_imports_no_other_room() -> None:
    known = (
        "dynamodb.model.",
        "storage.engine",
        "storage.counters",
        "aws.errors",
        "aws.stored_items",
        "dynamodb.errors",
        "regions.keyspaces",
        "utf16",
    )
    for importer, every in imports().items():
        if importer.startswith("dynamodb.model."):
            assert [imported for imported in every if not imported.startswith(known)] == [], importer


def test_the_document_shows_the_key_layout_of_the_code() -> None:
    document = (ROOT / "docs" / "architecture.md").read_text()
    layout, _ = re.findall(r"^```\n(space  then.*?)^```$", document, re.DOTALL | re.MULTILINE)
    table, words = layout.split("\n\n", 1)
    assert table + "\n" == keyspaces.drawn(key_spaces(SERVICES))
    assert textwrap.indent(words, "    ") in (keys.__doc__ or "")


DESCRIPTOR_MEMBERS = {"NextIndexNumber", "ChangeLog", "NextShardNumber", "Replication", "LeftBy", "ToldShards"}
"""Members of a stored descriptor that neither requests nor answers have."""
SPELL_MEMBERS = {"dynamodb.model.descriptors"}
"""Modules that know these names. The list may only shrink."""
HANDLE_DESCRIPTORS = {
    "dynamodb.catalog",
    "dynamodb.checks.every_table",
    "dynamodb.model.descriptors",
    "dynamodb.replication.replicated",
    "upkeep.losses",
    "upkeep.moving",
    "upkeep.repair",
    "upkeep.stats",
}
"""Modules that read or write descriptors as they are stored: the catalogue, what it does so with, what keeps something
by their bytes, and what goes over snapshots of whole stores. The list may only shrink."""
RAW = {
    "descriptors": {"parse", "serialize", "descriptor_of"},
    "keys": {"descriptor_key", "descriptor_range", "name_of_descriptor_key"},
}
"""Functions that are about stored descriptors, by module."""


def test_only_the_catalogue_knows_how_descriptors_are_stored() -> None:
    spelling, handling, keeping = set(), set(), set()
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node.value in DESCRIPTOR_MEMBERS:
                spelling.add(module)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.attr in RAW.get(node.value.id, ()):
                    handling.add(module)
                if (node.value.id, node.attr) == ("region", "known"):
                    keeping.add(module)
    assert spelling == SPELL_MEMBERS
    assert handling == HANDLE_DESCRIPTORS
    assert keeping == {
        *("aws.across_accounts", "aws.front", "aws.permissions", "aws.short_way"),
        "dynamodb.catalog",
    }
