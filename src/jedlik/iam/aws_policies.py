"""AWS's managed policies that are here: those of the services that an application of DynamoDB leans on.

They are data (`aws_managed_policies.json`), by their names with their paths. ReadOnlyAccess has the actions of the
services that Jedlik knows; AWS's lists those of all services.

Source: the AWS managed policy reference guide.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from importlib import resources
from types import MappingProxyType
from typing import Any

import orjson

from jedlik.iam.identity_rows import POLICY, Row

PREFIX = "arn:aws:iam::aws:policy/"
_MADE = 1423161600.0
"""When AWS made the first of them: 6 February 2015."""


@cache
def _all() -> Mapping[str, Row]:
    found = orjson.loads(resources.files("jedlik.iam").joinpath("aws_managed_policies.json").read_bytes())
    return MappingProxyType({PREFIX + name: _row(name, about) for name, about in found.items()})


def _row(name: str, about: dict[str, Any]) -> Row:
    path, _, plain = name.rpartition("/")
    number = blake2b(name.encode(), digest_size=10).digest()
    document = orjson.dumps({"Version": "2012-10-17", "Statement": about["Statement"]}).decode()
    return {
        "Path": f"/{path}/" if path else "/",
        "PolicyName": plain,
        "PolicyId": about.get("PolicyId", POLICY.prefix + "J" + b32encode(number).decode()),
        "Arn": PREFIX + name,
        "Description": about["Description"],
        "CreateDate": _MADE,
        "UpdateDate": _MADE,
        "Versions": [{"VersionId": "v1", "Document": document, "CreateDate": _MADE}],
        "Default": "v1",
        "Latest": 1,
    }


class _Policies(Mapping[str, Row]):
    """By their ARNs; read when the first is asked for."""

    def __getitem__(self, arn: str) -> Row:
        return _all()[arn]

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(_all())

    def __len__(self) -> int:
        return len(_all())


ALL: Mapping[str, Row] = _Policies()
