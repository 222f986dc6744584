"""Busy tables: those that nobody may change or delete now, because they are being restored or backed up."""

from __future__ import annotations

from dataclasses import replace

from jedlik.dynamodb.encryption import open_keys
from jedlik.dynamodb.errors import ResourceInUseException
from jedlik.dynamodb.model import log_readers
from jedlik.dynamodb.model.definitions import Descriptor

BACKUP_READER = "backup/"
"""What the names of the readers of the change log begin with that backups add, followed by the backup."""
_IN_USE = "Attempt to change a resource which is still in use: "


def check_free(table: Descriptor) -> None:
    """Raises ResourceInUseException for a table that is being restored, or that goes when its last backup is made."""
    if table.is_being_made:
        raise ResourceInUseException(f"{_IN_USE}Table is being created: {table.name}")
    if table.is_going:
        raise ResourceInUseException(f"{_IN_USE}Table is being deleted: {table.name}")


def check_changeable(table: Descriptor) -> None:
    """The same, and raises what refuses requests for a table whose key cannot be used."""
    check_free(table)
    open_keys.check_open(table)


def check_deletable(table: Descriptor) -> None:
    """The same, but a table that is being imported may be deleted."""
    check_free(table if table.importing is None else replace(table, importing=None))


def check_not_backed_up(table: Descriptor) -> None:
    """Raises ResourceInUseException for a table of which a backup is being made."""
    if is_backed_up(table):
        raise ResourceInUseException(f"{_IN_USE}Table is being backed up: {table.name}")


def is_backed_up(table: Descriptor) -> bool:
    """Whether a backup of the table is being made."""
    return any(reader.name.startswith(BACKUP_READER) for reader in log_readers.listed(table))
