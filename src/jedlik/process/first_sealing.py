"""The first start with a root key over a data folder of an earlier version: its open secrets are sealed.

The workers have not begun, and the folder is taken. If this is killed, the next start does it again; until then the
record of the root key notes that secrets may lie open. Stores are compacted afterwards: the pages that LMDB no longer
uses, and the journal, still have what was in the rows.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import replace

from jedlik.config import Settings
from jedlik.iam import open_secrets
from jedlik.regions import layout, root_key_record
from jedlik.regions.layout import Stored
from jedlik.regions.root_key_record import Found
from jedlik.root_key import RootKey
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb import lmdb_file
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine

log = logging.getLogger(__name__)


def seal_stores(settings: Settings, found: Found, root_key: RootKey) -> None:
    """Seal what lies open in the stores of a data folder, if its record notes that. Raises RootKeyError.

    A process of its own does it: one that forks workers must not have had a store open.
    """
    if not found.record.unsealed:
        return
    child = os.fork()
    if child == 0:
        code = 1
        try:
            done = [_seal(stored, root_key) for stored in layout.identity_stores(settings.data_dir, settings.account)]
            code = 0 if all(done) else 1
        except BaseException:
            log.exception("the sealing of open secrets failed")
        finally:
            os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        root_key_record.write(settings.data_dir, replace(found.record, unsealed=False))
        log.info("all secrets are sealed under the root key", extra={"data_dir": str(settings.data_dir)})


def _seal(stored: Stored, root_key: RootKey) -> bool:
    """Seal what lies open in an identity store. Returns whether it is done; else the next start tries again."""
    try:
        asyncio.run(_seal_rows(stored, root_key))
        lmdb_file.compact(stored.path)
    except StorageError as error:
        log.error("secrets of account %s still lie open: %s", stored.account, error)
        return False
    return True


async def _seal_rows(stored: Stored, root_key: RootKey) -> None:
    engine = LmdbEngine.open(stored.path, durable=True)
    try:
        await open_secrets.seal(engine, stored.account, root_key)
    finally:
        await engine.close()
