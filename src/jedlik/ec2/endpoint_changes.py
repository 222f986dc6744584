"""The VPC endpoints of a server, found by their ids, and changes of what is kept of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from jedlik.ec2 import endpoint_records
from jedlik.ec2.endpoint_records import EndpointRecord, endpoint_row
from jedlik.ec2.endpoint_ways import EndpointWay
from jedlik.ec2.errors import InvalidID, InvalidVpcEndpointIdMalformed, InvalidVpcEndpointIdNotFound
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes
from jedlik.vpc_endpoints import ID_FORM

_IS_ID = re.compile("[a-z0-9-]+-[0-9a-f]+")
"""What ids of other resources are like."""


class KnownEndpoints:
    """The endpoints of the settings."""

    def __init__(self, ways: Iterable[EndpointWay]) -> None:
        self._ways = sorted(ways, key=lambda way: way.id)

    def of(self, region: Region) -> Sequence[EndpointWay]:
        """Those of a region of an account, in the order of their ids."""
        return [way for way in self._ways if (way.account, way.region) == (region.account, region.name)]

    def find(self, region: Region, given: str) -> EndpointWay:
        """The one with an id. Raises InvalidVpcEndpointIdMalformed and InvalidVpcEndpointIdNotFound."""
        if not ID_FORM.fullmatch(given):
            raise InvalidVpcEndpointIdMalformed(f'Invalid Id: "{given}" (expecting "vpce-...")')
        for way in self.of(region):
            if way.id == given:
                return way
        raise InvalidVpcEndpointIdNotFound(f"The Vpc Endpoint Id '{given}' does not exist")

    def named(self, region: Region, given: Iterable[str]) -> list[EndpointWay]:
        """Those with the ids of resources. Raises InvalidID for other resources, too."""
        found: dict[str, EndpointWay] = {}
        for one in given:
            if not one.startswith("vpce-") or not _IS_ID.fullmatch(one):
                raise InvalidID(f"The ID '{one}' is not valid: Jedlik has VPC endpoints, and no other resources of EC2")
            found[one] = self.find(region, one)
        return list(found.values())


Change = Callable[[EndpointRecord], EndpointRecord]


async def change(region: Region, ways: Sequence[EndpointWay], changed: Change) -> None:
    """Change the records of endpoints, all of them or none."""
    keys = [endpoint_row(way.id) for way in ways]

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        for key, raw in zip(keys, found, strict=True):
            former = endpoint_records.read(raw)
            record = changed(former)
            if record != former:
                writes.put(key, endpoint_records.stored(record))
        return writes, None

    await region.engine.mutate(keys, decide)
