"""The settings of a table: the parameters of CreateTable and UpdateTable besides keys, indexes and throughput.

Sources: the API reference of CreateTable and UpdateTable; the texts are DynamoDB's answers.
"""

from __future__ import annotations

from typing import Any

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.capacity.throughput import INVALID

TABLE_CLASSES = ("STANDARD", "STANDARD_INFREQUENT_ACCESS")

_UNSUPPORTED = {
    "GlobalTableSourceArn": "global tables of several accounts",
    "GlobalTableSettingsReplicationMode": "global tables of several accounts",
    "VectorIndexes": "vector indexes",
    "VectorIndexUpdates": "vector indexes",
}
"""Members whose features are not built yet."""


def check_supported(request: dict[str, Any]) -> None:
    """Refuse settings that Jedlik does not support yet, rather than accept and ignore them. Raises
    ValidationException."""
    for member, what in _UNSUPPORTED.items():
        if member in request:
            raise ValidationException(f"Jedlik does not support {what} yet: {member}")


def check_table_class(request: dict[str, Any]) -> None:
    """TableClass, if it is given."""
    if request.get("TableClass", "STANDARD") not in TABLE_CLASSES:
        raise ValidationException(
            "Invalid table-class parameter provided. Please try again with a valid table-class value: "
            f"[{', '.join(TABLE_CLASSES)}]."
        )


def check_encryption(request: dict[str, Any]) -> None:
    """SSESpecification, if the request has it."""
    specification = request.get("SSESpecification", {})
    kind, key = specification.get("SSEType"), specification.get("KMSMasterKeyId")
    if not specification.get("Enabled", True):
        for member in ("SSEType", "KMSMasterKeyId"):
            if member in specification:
                raise ValidationException(f"{INVALID}{member} can not be specified if Enabled is false")
    if key is not None and kind != "KMS":
        raise ValidationException(f"{INVALID}SSEType KMS is required if KMSMasterKeyId is specified")
    if kind == "AES256":
        raise ValidationException(f"{INVALID}SSEType AES256 is not supported")


def check_stream(request: dict[str, Any], *, creating: bool) -> None:
    """StreamSpecification, if the request has it: a stream has a view type if and only if it is enabled."""
    specification = request.get("StreamSpecification")
    if specification is None:
        return
    enabled, has_view_type = specification["StreamEnabled"], "StreamViewType" in specification
    if enabled == has_view_type:
        return
    if creating and enabled:
        text = "Table is being created with a stream enabled, UpdateViewType is required"
    elif creating:
        text = "Table is being created with a stream disabled, UpdateViewType should not be specified"
    elif enabled:
        text = "If stream is being enabled then UpdateViewType is required"
    else:
        text = "If stream is being disabled, then UpdateViewType must not be specified"
    raise ValidationException(INVALID + text)
