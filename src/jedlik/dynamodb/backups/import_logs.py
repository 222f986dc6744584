"""Import logs: which records of an import are no items, and why, in the place of backups.

    ACCOUNT/REGION/TABLE/IMPORT-errors/OBJECT-LINE.jsonl    a hash of the object's name, and the number of a record

A line of such a file has the name of the object, the number of the record and the reason, and nothing of the record's
content. A file has the errors of the records of one commit, and is written before it. Where a commit begins follows
from the place of the job, so a worker that does it again writes the same name. The files go when the import is not
listed any more (`old_transfers`).

AWS logs to CloudWatch, which is not served here.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import orjson

from jedlik.dynamodb.backups import backup_records
from jedlik.dynamodb.backups.import_records import Import

if TYPE_CHECKING:
    from jedlik.regions.region import Region

LOGGED = 10_000
"""Errors of one import that are logged, as on AWS. The rest is counted."""
EVERY_LOGGED = 100
"""Errors of one import that are in the server's log as well."""


ERRORS = "ItemValidationError"
"""The code of an import that has errors."""


class Problem(NamedTuple):
    """A record that is no item."""

    name: str
    """The object."""
    line: int
    reason: str


def folder(account: str, region: str, table: str, import_id: str) -> str:
    """Where the log of an import is, in the place of backups."""
    return backup_records.folder(account, region, table, f"{import_id}-errors")


def failure(region: Region, found: Import) -> tuple[str, str]:
    """Code and message of an import that has a log. The beginning of the message is AWS's."""
    place = folder(region.account, region.name, found.table, found.id)
    return ERRORS, f"Some of the items failed validation checks and were not imported. Their log is in {place}."


async def write(region: Region, found: Import, problems: list[Problem]) -> None:
    """Write what is wrong with records of one commit, which are of one object. Raises ObjectStoreError."""
    assert region.places is not None, "a region with imports has a place of backups"
    content = b"".join(
        orjson.dumps({"object": one.name, "line": one.line, "reason": one.reason}) + b"\n" for one in problems
    )
    place = folder(region.account, region.name, found.table, found.id)
    name = blake2b(problems[0].name.encode(), digest_size=8).hexdigest()
    await region.places.backups.put(f"{place}/{name}-{problems[0].line:012d}.jsonl", content)
