"""Roles of clusters: as whom a cluster reads and writes tables. The seam to the service that has roles."""

from __future__ import annotations

from typing import Protocol

from jedlik.aws.context import Caller


class ClusterRoles(Protocol):
    """Who has the roles."""

    def is_trusting(self, role: str, source: str) -> bool:
        """Whether a role is there that DAX may assume for the cluster with the ARN `source`, which is of the same
        account."""
        ...

    def caller(self, role: str, source: str, region: str) -> Caller | None:
        """A session of a role, for a cluster; None if there can be none."""
        ...
