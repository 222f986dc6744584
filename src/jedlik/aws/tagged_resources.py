"""Resources with their tags, in the form in which their services show them to the tagging service.

The seam between the tagging service and the services whose resources it lists and tags: they implement it, and
`process` passes it on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from jedlik.aws.context import Context
from jedlik.regions.region import Region


class Tagged(NamedTuple):
    """A resource that has tags, or has had some."""

    arn: str
    tags: Mapping[str, str]


class TaggedResources(Protocol):
    """The resources of one type in a region."""

    @property
    def type(self) -> str:
        """As filters name it, by service and type: `dynamodb:table`."""
        ...

    def has(self, region: Region, arn: str) -> bool:
        """Whether an ARN is that of such a resource of this region and its account, whether or not it exists."""
        ...

    async def after(self, region: Region, arn: str | None, limit: int) -> Sequence[Tagged]:
        """The first `limit` of those whose ARNs come after `arn`, in the order of ARNs; fewer only at the end."""
        ...

    async def find(self, region: Region, arn: str) -> Tagged | None:
        """The one with this ARN, if it exists."""
        ...

    async def tag(self, context: Context, arn: str, tags: Mapping[str, str]) -> None:
        """Give it tags, as the caller of `context`. Raises the error with which its own service refuses that."""
        ...

    async def untag(self, context: Context, arn: str, tag_keys: Collection[str]) -> None:
        """Remove tags from it. Raises as `tag` does."""
        ...
