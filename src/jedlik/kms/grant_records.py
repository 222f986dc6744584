"""Grants as values, their stored form, their tokens, and what they allow.

A grant is a row, and two more lead to it, from its grantee and from its retiring principal. It takes effect for every
worker with the commit that makes it, so nobody needs its token; a token is verified all the same, and names the grant
to RetireGrant.

Source: "Grants in AWS KMS" in the developer guide, and CreateGrant in the API reference.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from jedlik.aws.policies.wildcards import arn_matcher
from jedlik.kms import key_permissions, key_rows
from jedlik.kms.errors import InvalidGrantTokenException
from jedlik.kms.key_permissions import Values
from jedlik.kms.key_records import arn
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

ID_BYTES = 32
"""A grant's id is as many bytes in hexadecimal, as AWS's are."""
_MAC_BYTES = 16
_KEPT = 1024
_PAGE, _PAGE_BYTES = 100, 1 << 20
EQUALS, SUBSET = "EncryptionContextEquals", "EncryptionContextSubset"
_ADDED = ("grantee_id", "retiring_id")
"""Members that earlier versions do not know, and that not every grant has."""
UNCONSTRAINED = frozenset({"DescribeKey", "RetireGrant"})
"""What a grant allows without regard to its constraints: such requests have no encryption context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A grant."""

    id: str
    created: float
    """In seconds since the epoch."""
    operations: tuple[str, ...]
    issuer: str
    """The account that made it."""
    name: str | None = None
    grantee: str | None = None
    """The ARN of a principal."""
    grantee_service: str | None = None
    retiring: str | None = None
    retiring_service: str | None = None
    constraint: str | None = None
    """EQUALS or SUBSET; None if there is no constraint."""
    pairs: tuple[tuple[str, str], ...] = ()
    """The encryption context of the constraint, in order."""
    source_arn: str | None = None
    """The resource for which a service must ask, by another constraint: a pattern."""
    grantee_id: str | None = None
    """The unique id of the user or role that the grantee was, or whose session it is. None for others, and in grants of
    earlier versions. Another with the name of one that was deleted has no part in the grant, as on AWS."""
    retiring_id: str | None = None
    """The same of the retiring principal."""

    def may(self, operation: str, values: Values) -> bool:
        """Whether it allows an access with these condition keys."""
        if operation not in self.operations or not self._is_for(values):
            return False
        if operation == "CreateGrant":
            return set(values["kms:GrantOperations"]) <= set(self.operations) and self._is_looser(values)
        return operation in UNCONSTRAINED or self._fits(key_permissions.encryption_context(values))

    def is_grantee(self, names: Collection[str]) -> bool:
        """Whether somebody with one of these ARNs has one of these unique ids as well, if it must."""
        return self.grantee_id is None or self.grantee_id in names

    def may_retire(self, names: Collection[str]) -> bool:
        """Whether somebody with these ARNs and unique ids may give it up."""
        is_retiring = self.retiring in names and (self.retiring_id is None or self.retiring_id in names)
        return is_retiring or (self.grantee in names and self.is_grantee(names) and "RetireGrant" in self.operations)

    def _is_for(self, values: Values) -> bool:
        if self.source_arn is None:
            return True
        return any(arn_matcher(self.source_arn)(one) for one in values.get("aws:SourceArn", ()))

    def _fits(self, context: Mapping[str, str]) -> bool:
        if self.constraint == EQUALS:
            return dict(self.pairs) == context
        return dict(self.pairs).items() <= context.items()

    def _is_looser(self, values: Values) -> bool:
        """Whether a new grant is constrained at least as much."""
        if self.constraint is None:
            return True
        kinds = values.get("kms:GrantConstraintType", ())
        fits = self._fits(key_permissions.encryption_context(values))
        return fits and (EQUALS in kinds or (SUBSET in kinds and self.constraint == SUBSET))

    @property
    def constraints(self) -> dict[str, Any]:
        """The constraints as requests have them."""
        source = {} if self.source_arn is None else {"SourceArn": self.source_arn}
        return source if self.constraint is None else {self.constraint: dict(self.pairs), **source}

    def shown(self, region: Region, key_id: str) -> dict[str, Any]:
        """The grant as operations show it."""
        members = {
            "KeyId": arn(region.name, region.account, key_id),
            "GrantId": self.id,
            "Name": self.name or "",
            "CreationDate": self.created,
            "GranteePrincipal": self.grantee or self.grantee_service,
            "RetiringPrincipal": self.retiring or self.retiring_service,
            "IssuingAccount": f"arn:aws:iam::{self.issuer}:root",
            "Operations": self.operations,
            "Constraints": self.constraints or None,
            "GranteeServicePrincipal": self.grantee_service,
            "RetiringServicePrincipal": self.retiring_service,
        }
        return {name: value for name, value in members.items() if value is not None}


def new_grant_id() -> str:
    """The id of a new grant."""
    return secrets.token_hex(ID_BYTES)


def packed_grant(grant: Grant) -> bytes:
    """The stored form."""
    members = {name: getattr(grant, name) for name in Grant.__slots__}
    return orjson.dumps({name: value for name, value in members.items() if value is not None or name not in _ADDED})


@lru_cache(maxsize=_KEPT)
def unpacked_grant(stored: bytes) -> Grant:
    """Reads the stored form."""
    found: dict[str, Any] = orjson.loads(stored)
    pairs = tuple((name, value) for name, value in found["pairs"])
    return Grant(**found | {"operations": tuple(found["operations"]), "pairs": pairs})


def leading_rows(key_id: str, grant: Grant) -> list[bytes]:
    """The rows that lead to a grant."""
    grantees, retiring = (grant.grantee, grant.grantee_service), (grant.retiring, grant.retiring_service)
    return [
        *(key_rows.grantee_row(key_id, name, grant.id) for name in grantees if name is not None),
        *(key_rows.retiring_row(name, key_id, grant.id) for name in retiring if name is not None),
    ]


def put_grant(key_id: str, grant: Grant, writes: Writes) -> None:
    """Write a grant, with what leads to it."""
    writes.put(key_rows.grant_row(key_id, grant.id), packed_grant(grant))
    for row in leading_rows(key_id, grant):
        writes.put(row, b"")
    writes.add(key_rows.CHANGES, 1)


def delete_grant(key_id: str, grant: Grant, writes: Writes) -> None:
    """Delete a grant, with what leads to it."""
    writes.delete(key_rows.grant_row(key_id, grant.id))
    for row in leading_rows(key_id, grant):
        writes.delete(row)
    writes.add(key_rows.CHANGES, 1)


async def is_granted(region: Region, key_id: str, operation: str, values: Values, names: Collection[str]) -> bool:
    """Whether a grant of a key allows an access to a principal with these names, ARNs and unique ids."""
    for name in names:
        start, end = key_rows.grantee_range(key_id, name)
        prefix = len(start)
        while leading := await region.engine.range(start, end, _PAGE, _PAGE_BYTES):
            ids = (row[prefix:].decode() for row, _ in leading)
            stored = await region.engine.get([key_rows.grant_row(key_id, grant_id) for grant_id in ids])
            grants = (unpacked_grant(one) for one in stored if one is not None)
            if any(grant.is_grantee(names) and grant.may(operation, values) for grant in grants):
                return True
            start = leading[-1][0] + b"\0"
            await asyncio.sleep(0)  # A key may have tens of thousands, and others wait.
    return False


# Tokens


def grant_token(region: Region, key_id: str, grant_id: str) -> str:
    """The token of a grant."""
    content = f"{region.account}/{key_id}/{grant_id}".encode()
    return urlsafe_b64encode(_mac(region, content) + content).decode()


def of_token(token: str) -> tuple[str, str, str]:
    """The account, and the ids of the key and the grant, in a token that is not verified yet. Raises
    InvalidGrantTokenException."""
    try:
        account, key_id, grant_id = urlsafe_b64decode(token)[_MAC_BYTES:].decode().split("/")
    except ValueError:
        raise InvalidGrantTokenException("") from None
    return account, key_id, grant_id


def check_tokens(region: Region, tokens: Iterable[str]) -> None:
    """Raise InvalidGrantTokenException for a token that this region has not made."""
    for token in tokens:
        of_token(token)
        raw = urlsafe_b64decode(token)
        if not hmac.compare_digest(raw[:_MAC_BYTES], _mac(region, raw[_MAC_BYTES:])):
            raise InvalidGrantTokenException("")


def _mac(region: Region, content: bytes) -> bytes:
    return blake2b(content, key=region.secret, digest_size=_MAC_BYTES, person=b"grant token").digest()
