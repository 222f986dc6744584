"""Operations of KMS on a region in the test's own process, without a server around them."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from jedlik.aws.context import Context, own
from jedlik.kms import service
from jedlik.regions.region import Region

T = TypeVar("T")


class OneRegion:
    """The stores of a process that has one region: there is no other account."""

    def named(self, account: str, region: str) -> str:
        return f"{account}/{region}"

    async def use(self, name: str, work: Callable[[Region], Awaitable[T]]) -> T:
        raise NotImplementedError(name)


SERVICE = service.declared(OneRegion())


async def call(region: Region, operation: str, **request: Any) -> Any:
    """The result of an operation, as its handler returns it."""
    return await SERVICE.operations[operation].handler(Context(region, "test", own(region)), request)


def wrapped(material: bytes, public_key: bytes, algorithm: str = "RSAES_OAEP_SHA_256") -> bytes:
    """Material as a customer wraps it for its import."""
    public = load_der_public_key(public_key)
    assert isinstance(public, RSAPublicKey)
    hasher = hashes.SHA1 if algorithm.endswith("SHA_1") else hashes.SHA256
    oaep = padding.OAEP(padding.MGF1(hasher()), hasher(), None)
    if algorithm.startswith("RSAES"):
        return public.encrypt(material, oaep)
    key = secrets.token_bytes(32)
    return public.encrypt(key, oaep) + aes_key_wrap_with_padding(key, material)
