"""The memory of processes; what the kernel lends them of a mapped file is counted apart.

LMDB maps the store's file, so every page that is read counts as resident, and the kernel takes it back when it needs
the memory. The rest, anonymous memory, is what must be bounded. A page that several processes share counts in each in
proportion (Pss), so it counts once in their sum. Source: proc_pid_smaps, proc_tid_children(5).
"""

from __future__ import annotations

from dataclasses import dataclass
from glob import iglob
from pathlib import Path

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of memory."""

    resident: int
    """All that is in memory."""
    private: int
    """Anonymous memory: the heap, the stacks."""
    mapped: int
    """Pages of mapped files that are in memory: the store, and the program's own."""

    @classmethod
    def of(cls, process: int) -> Memory:
        """The memory of a process and all its living descendants."""
        held = {"Pss": 0, "Pss_Anon": 0, "Pss_File": 0}
        family = [process]
        for member in family:
            for children in iglob(f"/proc/{member}/task/*/children"):
                family += map(int, _read(children).split())
            for line in _read(f"/proc/{member}/smaps_rollup").splitlines():
                name, _, value = line.partition(":")
                if name in held:
                    held[name] += int(value.split()[0]) * 1024
        return cls(resident=held["Pss"], private=held["Pss_Anon"], mapped=held["Pss_File"])


def _read(path: str) -> str:
    """The content of a file of /proc; empty if its process or thread has ended."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
