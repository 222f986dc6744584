"""The metrics of a running server, as commands find them: the server by the lock on its data folder, its memory by
name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from jedlik.aws import histograms, slabs
from jedlik.aws.slabs import MEMORY_NAME, Unreadable
from jedlik.regions.layout import Which

PERCENTILES = (50, 90, 99, 99.9)


@dataclass(frozen=True, slots=True)
class Counted:
    """A series, with the counts of all workers."""

    name: str
    kind: str
    unit: str
    account: str | None
    region: str | None
    """Both None for the rest of a metric: everything that found no room in a series of its own."""
    dimensions: dict[str, str]
    cells: list[float]

    @property
    def label(self) -> str:
        """Metric and dimensions, for people."""
        named = ", ".join(f"{name} {value}" for name, value in self.dimensions.items())
        rest = " (what found no room of its own)" if self.region is None else ""
        return f"{self.name}{f' of {named}' if named else ''}{rest}"

    @property
    def figures(self) -> dict[str, Any]:
        """The count: a value, or the known facts of a distribution."""
        if self.kind != "histogram":
            return {"value": _plain(self.cells[0])}
        count = histograms.count(self.cells)
        total = self.cells[histograms.SUM]
        return {
            "count": count,
            "sum": _plain(total),
            "average": _plain(total / count) if count else None,
            **{f"p{percent}": _plain(histograms.percentile(self.cells, percent) or 0.0) for percent in PERCENTILES},
        }

    def document(self) -> dict[str, Any]:
        """As JSON. A histogram's buckets are pairs of an upper bound and the number of values under it."""
        document = {
            "name": self.name,
            "kind": self.kind,
            "unit": self.unit,
            "account": self.account,
            "region": self.region,
            "dimensions": self.dimensions,
            **self.figures,
        }
        if self.kind == "histogram":
            document["buckets"] = [
                [histograms.bounds(cell)[1], int(self.cells[cell])]
                for cell in range(histograms.LOW, histograms.CELLS)
                if self.cells[cell]
            ]
        return document


@dataclass(frozen=True, slots=True)
class ServerMetrics:
    """The counts of a server since its start."""

    started: float
    """Seconds since the epoch."""
    series: list[Counted]
    refused: int
    """How often a series found no room, so that it was counted in the rest."""
    dropped: int
    """Series that have joined the rest to make room for others."""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "started": self.started,
            "series_refused": self.refused,
            "series_dropped": self.dropped,
            "series": [series.document() for series in self.series],
        }


def _is_of(one: Counted, which: Which) -> bool:
    """Whether a series belongs to some of these stores. The rest of a metric belongs to all."""
    return one.region is None or which.means_region(one.account, one.region)


def of_server(data_dir: Path, which: Which) -> ServerMetrics | None:
    """The counts of the server of a data folder, for some stores; None if no server can be found from here.

    Raises Unreadable, and OSError if it belongs to another user.
    """
    path = _memory(data_dir / "lock")
    if path is None:
        return None
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        contents = slabs.read(file)
    finally:
        os.close(file)
    series = [_counted(key, cells) for key, cells in contents.series.items()]
    shown = [one for one in series if _is_of(one, which)]
    shown.sort(
        key=lambda one: (
            one.account not in (None, which.own),
            one.account or "",
            one.region or "",
            one.name,
            sorted(one.dimensions.items()),
        )
    )
    return ServerMetrics(contents.started, shown, contents.refused, contents.dropped)


def _memory(lock: Path) -> Path | None:
    """The memory of the server that holds a data folder's lock (`process.listeners.take_data_folder`).

    The lock itself is not tried: that could keep a server from starting. The process number in its file counts if that
    process has the file open.
    """
    try:
        holder = lock.read_bytes()
        files = sorted(Path(f"/proc/{int(holder)}/fd").iterdir())
        held = lock.stat()
    except (FileNotFoundError, ValueError):  # None has ever run here, or it has ended, or it runs on another machine.
        return None
    memory = None
    holds = False
    for name in files:
        try:
            if os.readlink(name).startswith(f"/memfd:{MEMORY_NAME} "):
                memory = name
            holds |= os.path.samestat(name.stat(), held)
        except FileNotFoundError:  # It has been closed meanwhile.
            continue
    return memory if holds else None


def _counted(key: bytes, cells: list[float]) -> Counted:
    try:
        name, kind, unit, *of = orjson.loads(key)
        account, region, dimensions = of or (None, None, {})
    except ValueError as error:
        raise Unreadable("what the server counts is damaged") from error
    return Counted(name, kind, unit, account, region, dimensions, cells)


def _plain(value: float) -> int | float:
    """A number without needless digits."""
    return int(value) if value == int(value) else round(value, 6)
