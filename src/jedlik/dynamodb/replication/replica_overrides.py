"""The overrides that a replica may have, and those in an action of UpdateTable: read capacity, table class, KMS key.

Sources: the API reference of UpdateTable; the texts are DynamoDB's answers.
"""

from __future__ import annotations

from typing import Any

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.capacity.throughput import INVALID
from jedlik.dynamodb.errors import ResourceNotFoundException
from jedlik.dynamodb.model import shared_settings
from jedlik.dynamodb.model.definitions import PAY_PER_REQUEST, PROVISIONED, Descriptor, IndexDefinition

Request = dict[str, Any]

_OVERRIDES = ("ProvisionedThroughputOverride", "OnDemandThroughputOverride")


def check_key(table: Descriptor, region: str, settings: Request) -> None:
    """The KMS key of a new replica: a customer's if and only if the table's is."""
    key = settings.get("KMSMasterKeyId")
    kind = shared_settings.shared(table).get("Encryption")
    customers = key is not None and not key.endswith(shared_settings.AWS_KEY)
    if kind is not None and key is not None and customers != (kind == "CUSTOMER"):
        raise ValidationException(f"{INVALID}All replica keys must either be Customer Managed CMK or AWS Managed CMK.")
    if (key is None) != (kind != "CUSTOMER"):
        raise key_missing()
    if key is not None and key.startswith("arn:") and key.split(":")[3] != region:
        raise ValidationException(
            f"KMS validation error for region {region}: "
            f"com.amazonaws.services.kms.model.NotFoundException: Invalid arn {key.split(':')[3]}"
        )


def key_missing() -> ValidationException:
    """The refusal of a replica without a key of its own, if the others have one."""
    return ValidationException(f"{INVALID}KMSMasterKeyId must be specified for each replica.")


def check(table: Descriptor, settings: Request) -> None:
    """Whether a replica may have these settings. Raises ValidationException and ResourceNotFoundException."""
    mode = table.billing_mode
    indexes = settings.get("GlobalSecondaryIndexes", ())
    if mode == PAY_PER_REQUEST and any("ProvisionedThroughputOverride" in of for of in (settings, *indexes)):
        raise ValidationException(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
        )
    if mode == PROVISIONED and any("OnDemandThroughputOverride" in of for of in (settings, *indexes)):
        raise ValidationException(
            "MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED"
        )
    known = {index.name for index in table.global_indexes}
    for index in indexes:
        if index["IndexName"] not in known:
            raise ResourceNotFoundException(
                f"Requested resource not found: Index {index['IndexName']} for table {table.name}"
            )


def given(table: Descriptor, settings: Request) -> Request:
    """The overrides that a request gives a replica, by member; None for a setting that it has as the table has it."""
    found: Request = {m: settings[m] for m in ("KMSMasterKeyId", "TableClassOverride") if m in settings}
    found |= _throughput(settings, table, "")
    indexes = {index.name: index for index in table.global_indexes}
    for index in settings.get("GlobalSecondaryIndexes", ()):
        # As on AWS, a new replica may get overrides of indexes that do not exist, which have no effect.
        if index["IndexName"] in indexes:
            found |= _throughput(index, indexes[index["IndexName"]], f"{index['IndexName']}/")
    return found


def _throughput(settings: Request, of: Descriptor | IndexDefinition, prefix: str) -> Request:
    current = {
        "ProvisionedThroughputOverride": {"ReadCapacityUnits": of.provisioned["ReadCapacityUnits"]},
        "OnDemandThroughputOverride": {"MaxReadRequestUnits": (of.on_demand or {}).get("MaxReadRequestUnits", -1)},
    }
    given = {member: settings[member] for member in _OVERRIDES if settings.get(member)}
    return {prefix + member: None if value == current[member] else value for member, value in given.items()}
