"""The check of what is kept of VPC endpoints: each record can be read, and its policy is one."""

from __future__ import annotations

from collections.abc import Iterator

from jedlik.aws.checks import Check, Checking, unreadable
from jedlik.aws.policies.policy_parser import MalformedPolicy
from jedlik.aws.private_ways import check_policy
from jedlik.ec2 import endpoint_records
from jedlik.storage.engine import Row
from jedlik.storage.snapshot import Snapshot
from jedlik.vpc_endpoints import ID_FORM


def _problems(snapshot: Snapshot, checking: Checking) -> Iterator[str]:
    yield from unreadable(snapshot.rows(*endpoint_records.EC2.range), "VPC endpoint", _read)


def _read(row: Row) -> None:
    key, value = row
    if not ID_FORM.fullmatch(endpoint_records.id_of(key)):
        raise ValueError("it has no id of an endpoint")
    policy = endpoint_records.read(value).policy
    if policy is not None:
        try:
            check_policy(policy)
        except MalformedPolicy as error:
            raise ValueError(f"its policy: {error}") from error


CHECK = Check("VPC endpoints", _problems)
