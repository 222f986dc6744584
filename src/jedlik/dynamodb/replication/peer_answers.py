"""Answers of peers, checked like requests: a peer is a stranger.

Every question to a peer goes through `ask`, which checks that the answer has its form (`peer_messages`). Rules that a
form cannot express are checked here, too. An answer that no region gives raises WrongAnswer, and one that must wait
raises PutAside; the table that it concerns is then put aside (`aside`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from jedlik.aws.errors import ServiceError
from jedlik.dynamodb.model import remote_changes, versions
from jedlik.dynamodb.model.remote_changes import RemoteChange
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import group_documents, peer_messages
from jedlik.dynamodb.replication.aside import PutAside, WrongAnswer
from jedlik.dynamodb.replication.forms import Form, Misshapen
from jedlik.regions.peers import Body

if TYPE_CHECKING:
    from jedlik.regions.region import Region

TURN_SECONDS = 0.01
"""The longest time that checking the changes of an answer keeps the event loop busy."""


async def ask(region: Region, peer: str, operation: str, request: Body) -> Body:
    """A peer's answer, which has the form of such an answer.

    Raises PeerUnreachable, the peer's refusal (a ServiceError), and WrongAnswer.
    """
    answer = await region.peers.call(peer, operation, request)
    _check_form(peer_messages.ANSWERS[operation], answer, operation)
    return answer


def by_table(answer: Body, asked: Collection[str]) -> dict[str, Body]:
    """By name: a Pull's answer about each of the requested tables. Raises WrongAnswer."""
    found: dict[str, Body] = {}
    for news in answer["Tables"]:
        name = news.get("TableName")  # Any JSON: no form has checked it yet.
        if type(name) is not str or name not in asked or name in found:
            raise WrongAnswer("Pull: the tables are not those asked for")
        found[name] = news
    return found


def check_news(news: Body, group_id: str, source: str | None, position: int, now: float) -> None:
    """Check a Pull's answer about one table, except for its changes (`changes`).

    `group_id` is that of the replica here; `source` and `position` are those of the request. Raises PutAside.
    """
    form = (
        peer_messages.GONE
        if "Gone" in news
        else peer_messages.COPY_AGAIN
        if "CopyAgain" in news
        else peer_messages.TABLE_NEWS
    )
    _check_form(form, news, "Pull")
    if "Group" in news:
        if news["Group"]["GroupId"] != group_id:
            raise WrongAnswer("Pull: the document of another group")
        group_documents.check(news["Group"], now)
    if "Entries" in news:
        # In another table that the peer has created under the name, the positions start again.
        reached = position if news["SourceId"] == source else 0
        for entry in news["Entries"]:
            if entry["Position"] < reached:
                raise WrongAnswer("Pull: positions go back")
            reached = entry["Position"] + 1
        if news["Position"] < reached:
            raise WrongAnswer("Pull: the position to go on from is before what was told")


def check_cursor(before: str | None, after: str | None) -> None:
    """Check the cursor where a copy goes on, which must be further than before. Raises WrongAnswer."""
    if before is not None and after is not None and bytes.fromhex(after) <= bytes.fromhex(before):
        raise WrongAnswer("CopyPage: the cursor goes back")


def known_time(news: float, now: float) -> float:
    """A time by a peer's clock, up to which changes have been seen: no further ahead than versions may be.

    Changes seen up to a time were also seen up to an earlier one. With a later one, future changes would count as seen.
    """
    return min(news, now + versions.FURTHEST_AHEAD_SECONDS)


async def changes(
    table: Table, news: Sequence[dict[str, Any]], now: float
) -> tuple[list[RemoteChange], PutAside | None]:
    """A peer's changes of a table, up to the first that cannot be applied, and the reason why that cannot.

    They have their form. `now` is in seconds since the epoch.
    """
    taken: list[RemoteChange] = []
    begun = time.perf_counter()
    for each in news:
        try:
            taken.append(_change(table, each, now))
        except PutAside as refusal:
            return taken, refusal
        if time.perf_counter() - begun > TURN_SECONDS:
            await asyncio.sleep(0)
            begun = time.perf_counter()
    return taken, None


def _change(table: Table, news: dict[str, Any], now: float) -> RemoteChange:
    """A peer's change. Raises PutAside."""
    try:
        change = remote_changes.checked(table, remote_changes.parse(news))
    except (ValueError, ServiceError) as error:
        raise WrongAnswer(f"a change is none: {error}") from error
    if versions.is_ahead(change.version, now):
        raise PutAside("a version is ahead of the clock here by more than ten minutes")
    return change


def _check_form(form: Form, answer: Any, operation: str) -> None:
    try:
        form(answer, "")
    except Misshapen as error:
        raise WrongAnswer(f"{operation}: {error}") from error
