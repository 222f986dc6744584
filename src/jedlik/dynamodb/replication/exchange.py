"""An exchange with a peer: the questions about the tables shared with it, and the use of its answers.

Tables that have to be copied, because they are new here or have been away for too long, are copied a page at a time
(`copying`); all others are pulled in one request. Changes are applied in batches, each in one commit with the position
(`replication.applying`). Everything that has to survive is in the store. The other state here saves commits and
questions, and may be dropped at any time, as it is when the lease is lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jedlik.aws.errors import ServiceError, ValidationException
from jedlik.dynamodb.capacity import cloudwatch
from jedlik.dynamodb.errors import DescriptorChanged, ResourceNotFoundException
from jedlik.dynamodb.model import replicas, versions
from jedlik.dynamodb.model.remote_changes import RemoteChange
from jedlik.dynamodb.replication import (
    applying,
    aside,
    copying,
    membership,
    peer_answers,
    peer_messages,
    pull_positions,
    replicated,
)
from jedlik.dynamodb.replication.aside import Aside, PutAside, WrongAnswer
from jedlik.dynamodb.replication.latency import Latency
from jedlik.dynamodb.replication.pull_positions import PositionMoved, PullPosition
from jedlik.dynamodb.replication.replicated import Replicated
from jedlik.regions.peers import PeerRefuses

if TYPE_CHECKING:
    from jedlik.regions.region import Region

TABLE_RETRY_SECONDS = 1.0
"""How long a table pauses that the peer does not have, or that cannot be copied yet."""
SAVE_SECONDS = 10.0
"""How often a position is written while only other regions' changes are skipped."""
AHEAD_SECONDS = 60.0
"""How far a peer's clock may be ahead of ours before that is logged."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Progress:
    """The progress of one table with the peer."""

    saved: PullPosition | None
    """As it is in the store."""
    reached: PullPosition
    """Beyond that, changes of other regions have been skipped."""
    saved_at: float
    due: float
    """When the table may be requested again."""
    digest: str | None = None
    """The version of the last group document from the peer."""
    complaint: str = ""
    """The reason why the table cannot be copied yet."""
    aside: Aside | None = None
    """The stored reason why the table is put aside; None if it is not."""
    refusals: int = 0
    """The number of unusable answers since the last usable one."""


class Exchange:
    """With one peer. `monotonic` returns seconds since some moment, for things to do again after a while."""

    def __init__(self, region: Region, peer: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._region = region
        self._peer = peer
        self._monotonic = monotonic
        self._progress: dict[bytes, _Progress] = {}
        """By table id."""
        self._first = 0
        """The table that is first in the next request."""
        self._at_once = peer_messages.TABLES_AT_ONCE
        """How many tables are requested in one pull: fewer while whole answers are unusable."""
        self._logged_ahead = -AHEAD_SECONDS
        self.latency = Latency()

    def forget(self) -> None:
        """Start again from the store's state: another worker may have moved on."""
        self._progress.clear()

    async def round(self, tables: Sequence[Replicated], wait: float) -> bool:
        """Do a piece of work for each of `tables`: copy a page, or pull. Returns whether there was anything to request.

        A table whose peer gives unusable answers is put aside. A pull waits at the peer for up to `wait` seconds,
        unless there is something to copy. Raises PeerUnreachable, ServiceError for a request that the peer refuses, and
        PositionMoved when another worker does the same.
        """
        pulled = []
        copied = False
        for found in tables:
            progress = await self._progress_of(found)
            if self._monotonic() < progress.due:
                continue
            if progress.saved is None and found.replica.status == replicas.CREATING:
                # The position to pull from is known once the copying from the source has begun.
                if self._peer == found.replica.source:
                    copied |= await self._copy_if_good(found, progress)
                elif await self._has_begun(found):
                    pulled.append((found, progress))
                else:
                    del self._progress[found.table.id]
            elif progress.saved is not None and progress.saved.copying is not None:
                copied |= await self._copy_if_good(found, progress)
            else:
                pulled.append((found, progress))
        if pulled:
            await self._pull(pulled, 0.0 if copied else wait)
        return bool(pulled) or copied

    async def _progress_of(self, found: Replicated) -> _Progress:
        progress = self._progress.get(found.table.id)
        if progress is None:
            saved = await pull_positions.read(self._region, found.table.id, self._peer)
            fault = await pull_positions.fault_of(self._region, found.table.id, self._peer)
            if fault is not None:
                self._say("a pull position is malformed, and pulling starts again", found, fault=fault)
            now = self._monotonic()
            progress = _Progress(saved, saved or PullPosition(self._peer), saved_at=now, due=now)
            progress.aside = await aside.read(self._region, found.table, self._peer)
            self._progress[found.table.id] = progress
        return progress

    async def _has_begun(self, found: Replicated) -> bool:
        assert found.replica.source is not None, "a replica that is being made is made from another"
        return await pull_positions.read(self._region, found.table.id, found.replica.source) is not None

    # Copying

    async def _copy_if_good(self, found: Replicated, progress: _Progress) -> bool:
        """The same as `_copy`, except that a table whose peer gives unusable answers is put aside."""
        try:
            going_on = await self._copy(found, progress)
        except PutAside as error:
            await self._put_aside(found, progress, error)
            return False
        if going_on:
            await self._taken(found, progress)
        return going_on

    async def _copy(self, found: Replicated, progress: _Progress) -> bool:
        """Begin to copy a table or copy the next page. Returns False if that is not possible now. Raises PutAside."""
        try:
            current = await self._current(found)
            if progress.saved is not None and progress.saved.copying is not None:
                after = await self._step(current, progress, progress.saved)
            else:
                after = await self._begin(current, progress.saved)
        except DescriptorChanged:
            return True
        except ServiceError as error:
            if isinstance(error, ResourceNotFoundException) and found.replica.peers == (self._peer,):
                await membership.abandon(self._region, found.table)
            if progress.complaint != error.message:
                self._say("copying cannot go on yet", found, error=error.message)
            progress.complaint = error.message
            self._rest(progress)
            return False
        self._save(progress, after)
        return True

    async def _begin(self, found: Replicated, before: PullPosition | None) -> PullPosition:
        after = await copying.begin(self._region, found, self._peer, before)
        self._say("copying begins", found, again=after.copying is not None and after.copying.again)
        return after

    async def _step(self, found: Replicated, progress: _Progress, before: PullPosition) -> PullPosition:
        try:
            after = await copying.step(self._region, found, before)
        except ResourceNotFoundException:
            # The peer now has another table, or none; then the next answer states that again.
            return await self._begin(found, before)
        except ValidationException:
            # The cursor is not one of the peer's.
            self._rest(progress)
            return await self._begin(found, before)
        if after.copying is None:
            self._say("copying is done", found)
        return after

    async def _current(self, found: Replicated) -> Replicated:
        """A table as it is now. If it has been deleted, its state here is dropped; raises PositionMoved."""
        current = await replicated.find(self._region, found.table.name)
        if current is None or current.table.id != found.table.id:
            raise PositionMoved
        return current

    # Pulling

    async def _pull(self, pulled: list[tuple[Replicated, _Progress]], wait: float) -> None:
        # Each time another table is the first, so that none is always last in an answer that has no room for all.
        shift = self._first % len(pulled)
        group = (pulled[shift:] + pulled[:shift])[: self._at_once]
        asked = {found.table.name: (found, progress) for found, progress in group}
        request = {
            "Wait": wait * len(group) / len(pulled),
            "Tables": [_asking(found, progress) for found, progress in group],
        }
        try:
            answer = await peer_answers.ask(self._region, self._peer, "Pull", request)
            news = peer_answers.by_table(answer, asked)
        except WrongAnswer as error:
            # Any of the tables may make the whole answer invalid: fewer are requested, until a single one is left.
            self._at_once = max(1, len(group) // 2)
            if len(group) == 1:
                self._first += 1
                await self._put_aside(*group[0], error)
            return
        self._first += 1 if len(group) == len(pulled) else len(group)
        self._at_once = min(2 * self._at_once, peer_messages.TABLES_AT_ONCE)
        for name, (found, progress) in asked.items():
            if name not in news and answer["Full"]:
                continue
            try:
                if name in news:
                    await self._take(found, progress, news[name], answer["Now"])
                else:
                    covered = peer_answers.known_time(answer["Now"], self._region.clock())
                    progress.reached = progress.reached.moved(covered=covered)
                await self._save_if_due(found, progress)
            except PutAside as error:
                await self._put_aside(found, progress, error)
            else:
                await self._taken(found, progress)

    async def _take(self, found: Replicated, progress: _Progress, news: dict[str, Any], now: float) -> None:
        """Apply the peer's answer about one table, up to an unusable change, for which it raises PutAside."""
        here, reached = self._region.clock(), progress.reached
        peer_answers.check_news(news, found.replica.group_id, reached.source, reached.position, here)
        if "Gone" in news:
            self._rest(progress)
            return
        if "Group" in news:
            await membership.adopt(self._region, found.table.name, news["Group"])
            progress.digest = replicas.version(news["Group"])
        if "CopyAgain" in news:
            await self._begin_again(found, progress)
            return
        changes, refusal = await peer_answers.changes(found.table, news["Entries"], here)
        entries = news["Entries"][: len(changes)]
        reached = reached.moved(source=news["SourceId"])
        for start in range(0, len(changes), applying.BATCH):
            batch = changes[start : start + applying.BATCH]
            last = start + len(batch)
            reached = reached.moved(
                position=entries[last - 1]["Position"] + 1, covered=peer_answers.known_time(batch[-1].at, here)
            )
            if last == len(changes):
                position = reached.position if refusal is not None else news["Position"]
                reached = reached.moved(position=position, latency=self.latency.summary())
            await self._apply(found, progress, batch, reached)
        if refusal is not None:
            raise refusal
        covered = reached.covered if news["More"] else peer_answers.known_time(now, here)
        progress.reached = reached.moved(position=news["Position"], covered=covered)

    async def _apply(
        self, found: Replicated, progress: _Progress, changes: list[RemoteChange], after: PullPosition
    ) -> None:
        while True:
            current = await self._current(found)
            try:
                await applying.apply(self._region, current.table, changes, progress.saved, after)
            except DescriptorChanged:
                continue
            break
        self._save(progress, after)
        now = self._region.clock()
        for change in changes:
            self.latency.add(now - change.at)
        took = [now - change.at for change in changes]
        cloudwatch.count_replicated(self._region, after.region, found.table.name, took)
        self._warn_of_clock(max((change.version for change in changes), default=versions.ZERO), now)

    async def _begin_again(self, found: Replicated, progress: _Progress) -> None:
        """The peer's log does not reach back to the position of this replica: it has been away for too long."""
        if found.replica.status == replicas.CREATING:
            # Items that are still missing then have been deleted. Before that, they may yet come from the source.
            self._rest(progress)
            return
        if not progress.complaint:
            self._say("away for too long", found, since=progress.reached.covered)
        await self._copy(found, progress)

    async def _save_if_due(self, found: Replicated, progress: _Progress) -> None:
        """Write the position, if no applied changes have written it for a while."""
        passed_over = progress.reached != progress.saved
        if passed_over and self._monotonic() - progress.saved_at >= SAVE_SECONDS:
            await self._apply(found, progress, [], progress.reached)

    def _save(self, progress: _Progress, pull: PullPosition) -> None:
        progress.saved = progress.reached = pull
        progress.complaint = ""
        progress.saved_at = self._monotonic()

    def _rest(self, progress: _Progress) -> None:
        progress.due = self._monotonic() + TABLE_RETRY_SECONDS

    # Tables put aside

    async def _put_aside(self, found: Replicated, progress: _Progress, error: PutAside) -> None:
        """Let a table pause whose peer gives unusable answers; log and store the reason when it is new."""
        progress.due = self._monotonic() + aside.rest(progress.refusals)
        progress.refusals += 1
        known = progress.aside
        if known is not None and known.reason == error.reason:
            return
        since = self._region.clock() if known is None else known.since
        context = {"region": self._region.store, "peer": self._peer, "table": found.table.name}
        _log.warning("a table is put aside: %s", error.reason, extra=context)
        progress.aside = Aside(self._peer, error.reason, since)
        await aside.note(self._region, found.table, progress.aside)

    async def refused(self, tables: Sequence[Replicated], refusal: PeerRefuses) -> None:
        """Store for all tables that their peer refuses to be one, until it accepts a question about each."""
        for found in tables:
            progress = await self._progress_of(found)
            reason = aside.reason_of(refusal)
            if progress.aside is None or progress.aside.reason != reason:
                progress.aside = Aside(self._peer, reason, self._region.clock())
                await aside.note(self._region, found.table, progress.aside)

    async def _taken(self, found: Replicated, progress: _Progress) -> None:
        """An answer has been applied: the table is no longer put aside."""
        progress.refusals = 0
        if progress.aside is not None:
            await aside.clear(self._region, found.table, self._peer)
            progress.aside = None
            self._say("a table is put aside no more", found)

    def _warn_of_clock(self, latest: bytes, now: float) -> None:
        """Log when a version is far ahead: as long as it is, writes over such items get versions that are ahead,
        too."""
        ahead = versions.seconds(latest) - now
        if ahead > AHEAD_SECONDS and self._monotonic() - self._logged_ahead >= AHEAD_SECONDS:
            self._logged_ahead = self._monotonic()
            context = {"region": self._region.store, "peer": self._peer, "ahead_seconds": round(ahead, 3)}
            _log.warning("a peer's clock is ahead", extra=context)

    def _say(self, what: str, found: Replicated, **more: object) -> None:
        context = {"region": self._region.store, "peer": self._peer, "table": found.table.name}
        _log.info(what, extra=context | more)


def _asking(found: Replicated, progress: _Progress) -> dict[str, Any]:
    return {
        "TableName": found.table.name,
        "GroupId": found.replica.group_id,
        "Position": progress.reached.position,
        "SourceId": progress.reached.source,
        "GroupVersion": progress.digest,
    }
