"""The tags of resources, for conditions on `aws:ResourceTag`: read when a condition asks for them.

An index and a stream have the tags of their table, and IAM's entities their own (`iam:ResourceTag` is another name).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jedlik.aws.tagged_resources import TaggedResources
from jedlik.iam.identity_rows import KINDS, PROVIDER
from jedlik.iam.identity_stores import IdentityStores, at_once
from jedlik.regions.layout import store_name

if TYPE_CHECKING:
    from jedlik.regions.stores import Stores

_NONE: Mapping[str, str] = {}
_BY_TYPE = {kind.arn_type: kind for kind in KINDS}


class ResourceTags:
    """The tags of everything that a server has."""

    def __init__(self, stores: Stores, identities: IdentityStores, tagged: Sequence[TaggedResources]) -> None:
        self._stores = stores
        self._identities = identities
        self._tagged = tagged

    def of(self, arn: str) -> Mapping[str, str]:
        """The tags of a resource. Raises StorageError."""
        parts = arn.split(":", 5)
        if len(parts) < 6:
            return _NONE
        _, _, service, region_name, account, name = parts
        if service == "iam":
            return self._of_entity(account, name, arn)
        own = self._identities.settings.account
        region = self._stores.opened(store_name(region_name, None if account == own else account))
        if region is None:
            return _NONE
        if service == "dynamodb":
            arn = ":".join((*parts[:5], "/".join(name.split("/")[:2])))
        for resources in self._tagged:
            if resources.has(region, arn):
                found = at_once(resources.find(region, arn))
                return _NONE if found is None else found.tags
        return _NONE

    def _of_entity(self, account: str, path: str, arn: str) -> Mapping[str, str]:
        kind_name, _, rest = path.partition("/")
        kind = _BY_TYPE.get(kind_name)
        if kind is None or not account.isdecimal():
            return _NONE
        name = rest if kind is PROVIDER else rest.rpartition("/")[2]
        row = self._identities.of(account).row(kind.key(name))
        if row is None or kind.arn(account, row) != arn:
            return _NONE
        return {tag["Key"]: tag["Value"] for tag in row.get("Tags", ())}
