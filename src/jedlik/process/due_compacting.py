"""The start after a store was sealed that had been plain: it is compacted, because the pages that LMDB does not use any
more, and the journal, still have what was in the rows (`background.sealing`).

The workers have not begun, and the folder is taken. A start must not take long: a large store is left to `jedlik
compact`, and each start logs that. If it is killed, the next start does it again: a compaction leaves a whole store at
every moment.
"""

from __future__ import annotations

import logging
import os
import shutil

from jedlik.config import Settings
from jedlik.regions import due_compactions
from jedlik.regions.layout import Stored
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb import lmdb_file
from jedlik.storage.lmdb.lmdb_pages import DATA

MOST_BYTES = 512 << 20
"""The largest file that a start compacts: a disk that writes 50 MB a second takes ten seconds."""

log = logging.getLogger(__name__)


def compact(settings: Settings) -> None:
    """Compact the stores of a data folder that are to be.

    A process of its own does it: one that forks workers must not have had a store open.
    """
    due = due_compactions.noted(settings.data_dir, settings.account)
    if not due:
        return
    child = os.fork()
    if child == 0:
        try:
            for stored in due:
                _compact(settings, stored)
        except BaseException:
            log.exception("stores could not be compacted")
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _compact(settings: Settings, stored: Stored) -> None:
    where = {"region": stored.name}
    try:
        size = (stored.path / DATA).stat().st_size
        if size > MOST_BYTES or shutil.disk_usage(stored.path).free < size:
            log.warning("free pages may have what was there before all was sealed: run `jedlik compact`", extra=where)
            return
        before, after = lmdb_file.compact(stored.path)
        due_compactions.forget(settings.data_dir, stored)
    except (StorageError, OSError) as error:
        log.warning("a store could not be compacted, and is used as it is: %s", error, extra=where)
    else:
        log.info("a store has been compacted after it was sealed", extra=where | {"before": before, "after": after})
