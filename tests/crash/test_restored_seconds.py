"""Recovery to a point in time, and backups, while processes are killed and after power cuts: each restored second is
what it was.

`make torture ARGS="backups --points 200"` does the same for longer.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from torture import cut_archives, restored_seconds
from torture.cut_archives import Object
from torture.disk import Disk


def test_every_restored_second_is_exact_whatever_is_killed(tmp_path: Path, random: Random) -> None:
    done = restored_seconds.run(tmp_path, random, 3, print)
    assert done.points + done.backups == 3


def test_every_second_restored_after_a_power_cut_is_exact(disk: Disk, tmp_path: Path, random: Random) -> None:
    part = tmp_path / "archive"
    part.mkdir()
    recorded = cut_archives.record(part, random, seconds=2.0)
    done = cut_archives.Done()
    cut_archives.cut(part, recorded, random, 5, done)
    assert done.points + done.backups == 5
    assert done.objects > 5


def test_an_object_that_is_being_written_or_removed_may_be_anything_after_a_cut() -> None:
    def left(one: Object, position: int) -> set[bytes | None]:
        return {cut_archives.left(one, position, Random(seed)) for seed in range(200)}

    written = Object(b"ab", begun=10, durable=20)
    assert left(written, 9) == {None}
    assert left(written, 10) == {None, b"", b"a", b"a\0", b"\0\0", b"ab"}
    assert left(written, 20) == {b"ab"}
    assert left(Object(b"ab", begun=0, durable=0, removed=30), 29) == {b"ab"}
    assert left(Object(b"ab", begun=0, durable=0, removed=30), 30) == {None, b"ab"}
    assert left(Object(b"ab", begun=0, durable=0, removed=30, gone=40), 40) == {None}
