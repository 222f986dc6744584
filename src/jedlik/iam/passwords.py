"""Passwords as they are kept: hashed with Argon2id, whose cost makes guessing slow.

A hash takes a tenth of a second and 46 MB, so a worker computes one at a time, in a thread: its event loop goes on, and
strangers who try passwords cannot take more of the machine than that.

Sources: RFC 9106, "Argon2 Memory-Hard Function"; OWASP, "Password Storage Cheat Sheet", for the cost.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jedlik.aws.one_at_a_time import OneAtATime

if TYPE_CHECKING:
    from argon2 import PasswordHasher

PASSES, KIBIBYTES, LANES = 2, 47_104, 1
MOST_WAITING = 16
"""Hashes that wait for their turn in a worker. Beyond that, the server is too busy."""
NOBODY = "$argon2id$v=19$m=47104,t=2,p=1$SmVkbGlrIEFueW9zIDE4MDA$1fPDjULwU1hwCbtTq9Y4X8y0Q+4sFWW9l1JqCkZ0p0A"
"""A hash that no password has. It is compared for users who are not there, so that this takes as long."""


_IN_TURN = OneAtATime("passwords", MOST_WAITING)


async def hashed(password: str) -> str:
    """The hash of a password, with a salt of its own. Raises ServiceUnavailable."""
    return await _IN_TURN.do(lambda: _hasher().hash(password))


async def is_hash_of(password: str, *hashes: str) -> bool:
    """Whether a password has one of these hashes. Raises ServiceUnavailable."""
    return await _IN_TURN.do(lambda: any(_is_hash_of(one, password) for one in hashes))


def _is_hash_of(one: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(one, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # Few servers need it.

    return PasswordHasher(time_cost=PASSES, memory_cost=KIBIBYTES, parallelism=LANES)
