"""A journal that several processes write to: what one knows of the others."""

from __future__ import annotations

import os
from pathlib import Path

from jedlik.storage.journal import JOURNAL, Journal, Place, first_place
from jedlik.storage.lmdb_pages import METAS_SIZE

METAS = bytes(METAS_SIZE)


def test_a_checkpoint_of_anothers_is_written_again_before_anything_is_written_over(tmp_path: Path) -> None:
    Journal.make(tmp_path, 1, METAS)
    one, other = Journal(tmp_path), Journal(tmp_path)
    assert not one.is_sure()
    one.confirm()
    other.confirm()
    one.write_checkpoint(2, METAS, first_place())
    assert one.is_sure()
    assert not other.is_sure()
    assert other.confirm().transaction == 2
    assert other.is_sure()


def test_a_record_leaves_what_follows_it_where_another_has_made_the_file_longer(tmp_path: Path) -> None:
    Journal.make(tmp_path, 1, METAS)
    one = Journal(tmp_path)
    end = (1 << 20) + 100
    with (tmp_path / JOURNAL).open("r+b") as file:
        file.seek(end)
        file.write(b"records in use")
    place = Place(os.urandom(8), 1, end - 1000)
    one.append(place, bytes(100), Place(place.salt, 2, end - 800))
    assert (tmp_path / JOURNAL).read_bytes()[end:] == b"records in use"
