"""What is kept of a VPC endpoint: the policy that was set by ModifyVpcEndpoint, and its tags.

All else is in the settings. A row is in the store of the endpoint's region and account, from the first change on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import orjson

from jedlik.regions.keyspaces import Keyspace, Owner

EC2 = Keyspace(
    "ec2",
    b"\xf0",
    Owner.STORE,
    "records of VPC endpoints",
    (("00  id", "policy and tags of a VPC endpoint"),),
)
_ENDPOINT = EC2.prefix + b"\0"


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """What was changed of an endpoint."""

    policy: str | None = None
    """The document that was set; None if that of the settings holds."""
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


UNCHANGED = EndpointRecord()


def endpoint_row(endpoint_id: str) -> bytes:
    """Where the record of an endpoint is."""
    return _ENDPOINT + endpoint_id.encode()


def id_of(row: bytes) -> str:
    """The id of the endpoint in a row."""
    return row[len(_ENDPOINT) :].decode()


def stored(record: EndpointRecord) -> bytes:
    """A record as it is stored."""
    return orjson.dumps({"Policy": record.policy, "Tags": dict(record.tags)})


def read(raw: bytes | None) -> EndpointRecord:
    """The record in a row. Raises ValueError, LookupError or TypeError for what is no record."""
    if raw is None:
        return UNCHANGED
    found = orjson.loads(raw)
    policy, tags = found["Policy"], found["Tags"]
    if not (policy is None or isinstance(policy, str)) or not all(isinstance(one, str) for one in tags.values()):
        raise TypeError("a record of a VPC endpoint has another form")
    return EndpointRecord(policy, MappingProxyType(tags))
