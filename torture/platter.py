"""What may be on a disk when the power fails: everything that was synced, and any part of what was written since.

A sector of 512 bytes is written whole or not at all, and has some state that it had in memory since the last sync that
included it. Sectors go to the disk in any order. In some cuts the eight sectors of a page go together, in others each
by itself. The file's length is that of the present content, or of the writes.

After a failed sync, its writes may be on the disk or not, and memory regards them as written: no later sync writes
them, unless they are made again (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).

The files of a store are cut at one moment, but what is left of one is independent of what is left of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from torture.disk import File, Kind, Record

SECTOR = 512
PAGE = 4096
KEPT = (0.0, 0.1, 0.5, 0.9, 1.0)
"""The probability, in a cut, that a write since the last sync is on the disk."""

_Version = tuple[int, bytes]
"""The record by which a sector was written, and the sector's content then."""


class Platters:
    """The files of a store. Files that are missing at first do not count."""

    def __init__(self, synced: dict[File, bytes]) -> None:
        self._platters = {file: Platter(content) for file, content in synced.items()}

    def take(self, record: Record) -> None:
        """Apply a record."""
        self._platters[record.file].take(record)

    def cut(self, random: Random) -> dict[File, bytes]:
        """The files as they may be if the power fails now."""
        return {file: platter.cut(random) for file, platter in self._platters.items()}


class Platter:
    """A file that is written, synced, and cut off."""

    def __init__(self, synced: bytes = b"") -> None:
        self._memory = bytearray(synced)
        """The file as the kernel shows it."""
        self._disk = bytearray(synced)
        """What is sure to be there."""
        self._written: dict[int, list[_Version]] = {}
        """By sector: its contents since the last sync, the newest last."""
        self._unsure: dict[int, list[bytes]] = {}
        """By sector: its possible contents because a sync has failed."""
        self._begun: dict[int, int] = {}
        """By thread: the number of the record with which a sync began."""
        self._records = 0

    def take(self, record: Record) -> None:
        """Apply a record."""
        self._records += 1
        match record.kind:
            case Kind.WRITE:
                self._write(record.offset, record.data)
            case Kind.SIZE:
                self._resize(self._memory, record.length)
            case Kind.SYNC_BEGUN:
                self._begun[record.thread] = self._records
            case Kind.SYNCED:
                self._sync(list(self._written), self._begun.pop(record.thread))
            case Kind.SYNC_FAILED:
                self._doubt(list(self._written), self._begun.pop(record.thread))
            case Kind.RANGE_SYNCED:
                self._sync(_sectors(record.offset, record.length), self._records)
            case Kind.RANGE_SYNC_FAILED:
                self._doubt(_sectors(record.offset, record.length), self._records)

    def cut(self, random: Random) -> bytes:
        """The file as it may be if the power fails now."""
        image = bytearray(self._disk)
        for sector, contents in self._unsure.items():
            if random.random() < 0.5:
                _put(image, sector, random.choice(contents))
        kept = random.choice(KEPT)
        for together in self._units(random.choice((SECTOR, PAGE))):
            if random.random() >= kept:
                continue
            moments = [when for sector in together for when, _ in self._written[sector]]
            until = max(moments) if random.random() < 0.8 else random.choice(moments)
            for sector in together:
                shown = [content for when, content in self._written[sector] if when <= until]
                if shown:
                    _put(image, sector, shown[-1])
        if random.random() < 0.5:
            self._resize(image, len(self._memory))
        return bytes(image)

    def _write(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        self._resize(self._memory, max(end, len(self._memory)))
        self._memory[offset:end] = data
        for sector in _sectors(offset, len(data)):
            content = bytes(self._memory[sector * SECTOR : (sector + 1) * SECTOR])
            self._written.setdefault(sector, []).append((self._records, content))

    def _sync(self, sectors: list[int], begun: int) -> None:
        for sector, versions in self._taken(sectors, begun):
            _put(self._disk, sector, versions[-1])
            self._unsure.pop(sector, None)

    def _doubt(self, sectors: list[int], begun: int) -> None:
        for sector, versions in self._taken(sectors, begun):
            self._unsure.setdefault(sector, []).extend(versions)

    def _taken(self, sectors: list[int], begun: int) -> Iterator[tuple[int, list[bytes]]]:
        """Remove from the unsynced writes those that the sync which began with this record includes."""
        for sector in sectors:
            versions = self._written.pop(sector, [])
            later = [version for version in versions if version[0] > begun]
            if later:
                self._written[sector] = later
            if len(later) < len(versions):
                yield sector, [content for _, content in versions[: len(versions) - len(later)]]

    def _units(self, size: int) -> list[list[int]]:
        """The sectors that were written since the last sync, in units of `size` bytes."""
        units: dict[int, list[int]] = {}
        for sector in self._written:
            units.setdefault(sector * SECTOR // size, []).append(sector)
        return list(units.values())

    def _resize(self, file: bytearray, length: int) -> None:
        if length < len(file):
            del file[length:]
        else:
            file.extend(bytes(length - len(file)))


def _sectors(offset: int, length: int) -> list[int]:
    return list(range(offset // SECTOR, (offset + length + SECTOR - 1) // SECTOR))


def _put(file: bytearray, sector: int, content: bytes) -> None:
    end = sector * SECTOR + len(content)
    if end > len(file):
        file.extend(bytes(end - len(file)))
    file[sector * SECTOR : end] = content
