"""What exports, imports and bulk puts have in common: the bucket that a request names, and how many may be under way.

Exports and imports also have a record each, which is found by ARN, by client token, and in a list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from jedlik.aws.errors import AccessDeniedException, LimitExceededException, ServiceError, ValidationException
from jedlik.background import job_records
from jedlik.memory import MIB
from jedlik.regions.object_places import BucketOfOther, NoBucket
from jedlik.storage.object_store import CONTROL, NO_BUCKET, ObjectStore, ObjectStoreError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

IN_PROGRESS = "IN_PROGRESS"
COMPLETED = "COMPLETED"
FAILED = "FAILED"
CANCELLED = "CANCELLED"

TOKEN_SECONDS = 8 * 60 * 60.0
"""How long a client token is remembered."""
LISTED_SECONDS = 90 * 24 * 60 * 60.0
"""How long one is listed after its start."""
PAGE = 25
"""Records that a list has and that are read at a time, at the most."""

_TOKEN_UNIT = 16
_TOKEN_LENGTH = 112
"""Hexadecimal digits that a token has at the least, and a multiple of which it has."""

_ARN = re.compile(r"arn:[^:]*:dynamodb:([^:]*):([^:]*):table/([^/]+)/([^/]+)/([^/]+)")


_SSE_OPTIONS = {"AES256": "AES256", "KMS": "aws:kms"}
"""The values of S3SseAlgorithm, as the headers of S3 have them."""

Configuration = Mapping[str, Any]
"""The members of a request that name a bucket: S3Bucket, S3BucketOwner, S3SseAlgorithm and S3SseKmsKeyId."""


def bucket(region: Region, configuration: Configuration) -> ObjectStore:
    """The bucket that a request names. Raises NoBucket and BucketOfOther."""
    assert region.places is not None, "a region with exports and imports has buckets"
    name = configuration["S3Bucket"]
    region.places.check_owner(name, region.account, configuration.get("S3BucketOwner", region.account))
    algorithm = configuration.get("S3SseAlgorithm")
    if algorithm is None:
        return region.places.bucket(name)
    options = {"aws_server_side_encryption": _SSE_OPTIONS[algorithm]}
    if "S3SseKmsKeyId" in configuration:
        options["aws_sse_kms_key_id"] = configuration["S3SseKmsKeyId"]
    return region.places.bucket_with(name, options)


def check_output(region: Region, configuration: Configuration, prefix: str) -> None:
    """Whether objects can be written with a prefix as a request wants them. Raises ValidationException."""
    check_prefix(prefix)
    algorithm = configuration.get("S3SseAlgorithm")
    if "S3SseKmsKeyId" in configuration and algorithm != "KMS":
        raise ValidationException("S3SseKmsKeyId can only be specified when S3SseAlgorithm is KMS")
    name = configuration["S3Bucket"]
    if algorithm is not None and region.places is not None and not region.places.encrypts(name):
        raise ValidationException(
            f"S3SseAlgorithm cannot be specified, because the bucket {name} is not in an object store that speaks S3"
        )


def check_prefix(prefix: str) -> None:
    """Whether names of objects can have a prefix, and stay in their bucket. Raises ValidationException."""
    if any(part in (".", "..") for part in prefix.split("/")):
        raise ValidationException("The prefix cannot have the parts . and ..")
    if CONTROL.search(prefix) or "//" in prefix.strip("/"):
        raise ValidationException("The prefix cannot have control characters and empty parts")


_REFUSALS = {
    NO_BUCKET: ("S3NoSuchBucket", "The specified bucket does not exist"),
    **dict.fromkeys(
        ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        ("S3AccessDenied", "Access Denied"),
    ),
}
"""By the code of S3's error."""


UNUSABLE = ("S3Error", "The bucket could not be used. The log of the server has the reason.")
"""Code and message of what ended because that lasted too long. The error itself names places of the server."""


def failure_of(error: NoBucket | BucketOfOther) -> tuple[str, str]:
    """Code and message of what ended because of its bucket."""
    return _REFUSALS[NO_BUCKET if isinstance(error, NoBucket) else "AccessDenied"]


def refusal(region: Region, configuration: Configuration, error: ObjectStoreError) -> tuple[str, str] | None:
    """Code and message of what ends because its bucket has refused a request; None if it may go on later."""
    code = _REFUSALS.get(error.code or "")
    return code if error.url == bucket(region, configuration).url else None


async def check_concurrent(region: Region, most: int, what: str, *kinds: str) -> None:
    """Whether another one may begin of `what` these kinds of jobs do. Raises LimitExceededException.

    It is a soft limit: two that begin at once may both be the last.
    """
    if await job_records.count_of_kinds(region.engine, *kinds) >= most:
        raise LimitExceededException(f"Subscriber limit exceeded: There is a limit of {most} concurrent {what}")


class Transfer(Protocol):
    """An export or an import."""

    @property
    def started(self) -> float:
        """Seconds since the epoch."""
        ...

    @property
    def request(self) -> dict[str, Any]:
        """The request that began it."""
        ...


T = TypeVar("T", bound=Transfer)
Parse = Callable[[bytes], T]


async def find(
    region: Region, arn: str, what: str, key: Callable[[str, str], bytes], missing: type[ServiceError]
) -> bytes:
    """The record of the one that has an ARN. `what` is "export" or "import", and `key` gives a record's key by table
    and id.

    Raises ValidationException, AccessDeniedException and `missing`.
    """
    match = _ARN.fullmatch(arn)
    if match is None or match[4] != what:
        raise ValidationException(f"Invalid {what} ARN: {arn}", bare=True)
    if match[2] != region.account:
        raise AccessDeniedException("Access is denied")
    [raw] = await region.engine.get([key(match[3], match[5])])
    if match[1] != region.name or raw is None:
        raise missing(f"{what.capitalize()} not found: {arn}")
    return raw


async def listed(
    region: Region, parse: Parse[T], start: bytes, end: bytes, limit: int, *, reverse: bool = False
) -> list[T]:
    """Those of the last 90 days between two keys, or the same from the last one on. If there are more than `limit`, the
    one behind the limit begins the next page."""
    oldest = region.clock() - LISTED_SECONDS
    found: list[T] = []
    while len(found) <= limit:
        rows = await region.engine.range(start, end, PAGE, MIB, reverse=reverse)
        if not rows:
            break
        found += [one for _, raw in rows if (one := parse(raw)).started >= oldest]
        if reverse:
            end = rows[-1][0]
        else:
            start = rows[-1][0] + b"\0"
    return found


async def same_token(
    region: Region,
    parse: Parse[T],
    between: tuple[bytes, bytes],
    request: dict[str, Any],
    now: float,
    conflict: ServiceError,
) -> T | None:
    """The one that was begun with the same client token. Raises `conflict` if its request was another one."""
    token = request.get("ClientToken")
    if token is None:
        return None
    start, end = between
    while rows := await region.engine.range(start, end, PAGE, MIB):
        start = rows[-1][0] + b"\0"
        for _, raw in rows:
            found = parse(raw)
            if found.request.get("ClientToken") == token and found.started > now - TOKEN_SECONDS:
                if found.request != request:
                    raise conflict
                return found
    return None


def token(key: bytes) -> str:
    """A token of the form that AWS's have: the key, and what fills it up."""
    text = len(key).to_bytes(2, "big") + key
    digits = max(_TOKEN_LENGTH, 2 * len(text))
    digits += -digits % _TOKEN_UNIT
    return text.hex().ljust(digits, "0")


def key_of_token(given: str, between: tuple[bytes, bytes]) -> bytes:
    """The key in a token. Raises ValidationException unless it lies between two keys."""
    found = bytes.fromhex(given)
    length = int.from_bytes(found[:2], "big")
    if length > len(found) - 2 or not between[0] <= found[2:] < between[1]:
        raise ValidationException("Invalid NextToken")
    return found[2 : 2 + length]
