"""The memory of processes, with what is theirs apart from what the kernel lends them of a mapped file.

LMDB maps the store's file, so every page of it that is read counts as resident, and the kernel takes it back when
somebody needs the room. What must be bounded is the rest, anonymous memory. A page that several processes share counts
in each for its part (Pss), so that in their sum it counts once. Source: proc_pid_smaps, proc_tid_children(5).
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
        """What a process and all that descend from it hold together; nothing of those that have ended."""
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
    """What is in a file of /proc; nothing when its process or thread has ended."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
