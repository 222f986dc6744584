"""PaginationToken: the position where a listing goes on, in a form that clients keep and give back for 15 minutes.

It is sealed with the store's secret and bound to the operation and its filters, so that no client can forge one or use
one for another listing.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import blake2b
from hmac import compare_digest

import orjson

from jedlik.regions.region import Region
from jedlik.tagging.errors import InvalidParameterException, PaginationTokenExpiredException

LIFETIME_SECONDS = 15 * 60
"""The lifetime of a token ("PaginationTokenExpiredException" in the API reference)."""
_SEAL = 16


def token(region: Region, listing: object, last: str) -> str:
    """The token for going on after `last` in a listing, which is described by any JSON."""
    content = orjson.dumps([region.clock(), last])
    return b64encode(_seal(region, listing, content) + content).decode()


def last(region: Region, listing: object, given: str | None) -> str | None:
    """The ARN after which a listing goes on; None for its beginning, which the empty token stands for, too.

    Raises PaginationTokenExpiredException, and InvalidParameterException for a token that is not of this listing.
    """
    if not given:
        return None
    try:
        raw = b64decode(given, validate=True)
    except ValueError:
        raw = b""
    content = raw[_SEAL:]
    if not compare_digest(raw[:_SEAL], _seal(region, listing, content)):
        raise InvalidParameterException("The PaginationToken is invalid, or was given for other parameters.")
    issued, after = orjson.loads(content)
    if region.clock() - issued > LIFETIME_SECONDS:
        raise PaginationTokenExpiredException("The PaginationToken has expired.")
    return str(after)


def _seal(region: Region, listing: object, content: bytes) -> bytes:
    sealed = orjson.dumps(listing, option=orjson.OPT_SORT_KEYS) + b"\x00" + content
    return blake2b(sealed, digest_size=_SEAL, key=region.secret, person=b"tagging page").digest()
