"""Whether the commits and checkpoints of a store fail: logged once when that begins, and once when it ends."""

from __future__ import annotations

import logging
from pathlib import Path

_log = logging.getLogger(__name__)


class CommitTroubles:
    """Those of one worker and one store."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.failure: str | None = None
        """Why the last commit failed."""
        self._unsynced: str | None = None
        """Why the last checkpoint could not be made."""

    def take_note(self, failure: Exception | None) -> None:
        """Log that commits begin to fail, or succeed again. The failure of a request is logged with its answer."""
        if failure is not None and self.failure is None:
            _log.error("commits to the store in %s fail: %s", self._path, failure)
        elif failure is None and self.failure is not None:
            _log.warning("commits to the store in %s succeed again", self._path)
        self.failure = None if failure is None else str(failure)

    def take_note_of_checkpoints(self, failure: str | None) -> None:
        """Log that checkpoints begin to fail or succeed again. Commits go on until the journal is full."""
        if failure is not None and self._unsynced is None:
            _log.error("checkpoints of the store in %s fail: %s", self._path, failure)
        elif failure is None and self._unsynced is not None:
            _log.warning("checkpoints of the store in %s succeed again", self._path)
        self._unsynced = failure
