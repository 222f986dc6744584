"""The accesses to buckets that exports, imports and bulk loads need, besides those to tables.

A bucket is in the settings of the server, not in an account. But a policy decides who may read and write there, as on
AWS: the caller needs the permissions that DynamoDB uses in the caller's name. The objects that are written do not exist
yet, and those that are read are listed later. So the access is to all that begin with the prefix, and a policy that
denies one of them refuses the request.

Sources: "Requesting a table export in DynamoDB" and "Requesting a table import in DynamoDB" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jedlik.aws.access import Access, Beginning, Scope

Request = Mapping[str, Any]


def needed(operation: str, scope: Scope, request: Request) -> Iterator[Access]:
    """The accesses of an operation."""
    match operation:
        case "ExportTableToPointInTime":
            yield from _written(scope, request, "S3Prefix", "AWSDynamoDB/")
        case "ImportTable":
            yield from _read(scope, _part(request, "S3BucketSource"))
        case "StartBulkPutItems":
            yield from _read(scope, _part(request, "InputS3Configuration"))
            yield from _written(scope, _part(request, "OutputS3Configuration"), "S3KeyPrefix", "")


def _part(request: Request, member: str) -> Request:
    part = request.get(member)
    return part if isinstance(part, Mapping) else {}


def _written(scope: Scope, configuration: Request, prefix: str, folder: str) -> Iterator[Access]:
    bucket = configuration.get("S3Bucket")
    if bucket is not None:
        begins = configuration.get(prefix, "").strip("/")
        begins = f"{begins}/{folder}" if begins else folder
        yield Access("s3:PutObject", Beginning(f"{_arn(scope, bucket)}/{begins}*"), {})


def _read(scope: Scope, configuration: Request) -> Iterator[Access]:
    bucket = configuration.get("S3Bucket")
    if bucket is not None:
        prefix = configuration.get("S3KeyPrefix", "").lstrip("/")  # As it is read (`backups.open_sources`).
        yield Access("s3:ListBucket", _arn(scope, bucket), {"s3:prefix": (prefix,)})
        yield Access("s3:GetObject", Beginning(f"{_arn(scope, bucket)}/{prefix}*"), {})


def _arn(scope: Scope, bucket: str) -> str:
    return f"arn:{scope.partition}:s3:::{bucket}"
