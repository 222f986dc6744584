"""Roles of clusters: as whom a cluster reads and writes tables. The seam to the service that has roles."""

from __future__ import annotations

from typing import Protocol

from jedlik.aws.context import Caller


class ClusterRoles(Protocol):
    """Who has the roles."""

    def check(self, account: str, role: str) -> None:
        """Raise InvalidParameterValueException unless a role is there, and lets clusters of this account be it."""
        ...

    def caller(self, account: str, role: str, cluster: str, region: str) -> Caller:
        """A session of a role, for a cluster of an account. Raises AccessDeniedException if there can be none."""
        ...
