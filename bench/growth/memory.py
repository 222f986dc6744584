"""The memory of processes, with what is theirs apart from what the kernel lends them of a mapped file.

LMDB maps the store's file, so every page of it that is read counts as resident, and the kernel takes it back when
somebody needs the room. What must be bounded is the rest, anonymous memory. Source: proc_pid_smaps_rollup, proc(5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of memory; what several processes share is counted once, in parts."""

    private: int
    """Anonymous memory: the heap, the stacks."""
    mapped: int
    """Pages of mapped files that are in memory: the store, and the program's own."""

    @classmethod
    def of(cls, processes: Iterable[int]) -> Memory:
        """What these processes hold together; nothing of those that have ended."""
        sums = {"Pss_Anon": 0, "Pss_File": 0}
        for process in processes:
            try:
                lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            except (FileNotFoundError, ProcessLookupError):
                continue
            for line in lines:
                name, _, value = line.partition(":")
                if name in sums:
                    sums[name] += int(value.split()[0]) * 1024
        return cls(private=sums["Pss_Anon"], mapped=sums["Pss_File"])
