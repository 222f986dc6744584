"""The home of identity: the server at which users, roles and policies are changed, where several servers have the same.

Identity belongs to the account and holds in all its regions. A server whose settings name a home follows it
(`identity_following`): it refuses changes, and goes on with what it has while the home is away. All its workers and the
commands see how old that is in a small file, which one worker writes whenever the home has confirmed it. Where the
settings limit the age (`max_stale`), users and roles are refused beyond it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from jedlik.aws.errors import ServiceError, ServiceUnavailable
from jedlik.config import Settings

FILE = "identity-home.json"


class NotIdentityHome(ServiceError):
    """Identity is changed at another server."""


class IdentityHome:
    """What a worker knows of the home that its server follows."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.url = settings.identity_home
        """None if this server is the home."""
        self._max_stale = settings.identity_max_stale
        self._path = settings.data_dir / FILE
        self._clock = clock
        self._confirmed: float | None = None
        self._was_stale = False
        self.look()

    def look(self) -> bool:
        """Look how old identity is, once a second; whether it is stale now and was not, or the other way round."""
        if self.url is None:
            return False
        self._confirmed = read(self._path).get(self.url)
        before, self._was_stale = self._was_stale, self.is_stale
        return before is not self._was_stale

    def confirm(self) -> None:
        """Note that the home has just confirmed what is here."""
        assert self.url is not None
        self._confirmed = self._clock()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.write_bytes(orjson.dumps({self.url: self._confirmed}))
        os.replace(part, self._path)

    @property
    def age(self) -> float | None:
        """Seconds since the home confirmed what is here; None if it never has."""
        return None if self._confirmed is None else max(0.0, self._clock() - self._confirmed)

    @property
    def is_stale(self) -> bool:
        """Whether identity is older than the settings allow."""
        limit, age = self._max_stale, self.age
        return self.url is not None and limit is not None and (age is None or age > limit)

    def check_fresh(self) -> None:
        """Raise ServiceUnavailable if identity is too old to let users and roles in."""
        if self._max_stale is not None and self.is_stale:
            raise ServiceUnavailable(
                f"Users and roles are refused: their home, {self.url}, has not confirmed them for more than "
                f"{self._max_stale:g} seconds (identity_max_stale)"
            )

    def check_home(self) -> None:
        """Raise NotIdentityHome if identity is changed elsewhere."""
        if self.url is not None:
            raise NotIdentityHome(f"Users, roles and policies are changed at {self.url} alone: this server follows it")

    def document(self) -> dict[str, Any] | None:
        """What `/readyz` shows; None if this server is the home."""
        if self.url is None:
            return None
        age = self.age
        return {"home": self.url, "age": None if age is None else round(age, 1), "stale": self.is_stale}


def read(path: Path) -> dict[str, float]:
    """When each home confirmed identity, in seconds since the epoch."""
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def followed(data_dir: Path, now: float) -> dict[str, Any] | None:
    """The home that the server of a data folder follows, and the age of what is here, for `jedlik stats`; None if it
    follows none."""
    for url, confirmed in read(data_dir / FILE).items():
        return {"home": url, "age": round(max(0.0, now - confirmed), 1)}
    return None
