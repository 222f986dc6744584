"""AWS managed keys: those of an account that services use where a customer has named none. They cannot be managed.

One is made when its alias is named for the first time. Its policy lets the principals of the account use it through its
service alone.

Source: "AWS managed keys" in the developer guide; "DynamoDB encryption at rest" in the developer guide of DynamoDB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from jedlik.kms import key_records, key_rows, sealed_material
from jedlik.kms.alias_records import AliasRecord, unpacked_alias
from jedlik.kms.key_records import AWS, DAY, YEAR_DAYS, KmsKey, Rotation, unpacked
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

ALIASES: Mapping[str, str] = MappingProxyType({"alias/aws/dynamodb": "Amazon DynamoDB"})
"""Those that exist, with the name of the service that uses the key."""
DESCRIPTIONS = MappingProxyType(
    {"alias/aws/dynamodb": "Default key that protects my DynamoDB data when no other key is defined"}
)


async def made(region: Region, alias: str) -> KmsKey:
    """The key of one of ALIASES, which does not exist yet, unless somebody else has just made it."""
    now = region.clock()
    key_id = key_records.new_id(False)
    new, sealed = sealed_material.made(region, key_id, now)
    key = KmsKey(
        id=key_id,
        created=now,
        policy=policy_of(region.account, alias),
        description=DESCRIPTIONS[alias],
        manager=AWS,
        aliases=(alias,),
        materials=(new,),
        current=new.id,
        rotation=Rotation(YEAR_DAYS, now + YEAR_DAYS * DAY),
    )
    row = key_rows.alias_row(alias)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, bytes | None]:
        writes = Writes()
        if found[0] is None:
            key_records.put(None, key, writes)
            writes.put(row, AliasRecord(key_id, now, now).packed())
            writes.put(sealed.row, sealed.value)
        return writes, found[0]

    other = await region.engine.mutate([row], decide)
    if other is None:
        return key
    [stored] = await region.engine.get([key_rows.key_row(unpacked_alias(other).key_id)])
    assert stored is not None, "a key of AWS's is never deleted"
    return unpacked(stored)


def policy_of(account: str, alias: str) -> str:
    """The policy of one of these keys, whether or not it has been made."""
    service = alias.rpartition("/")[2]
    use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"]
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Id": f"auto-{service}-1",
            "Statement": [
                {
                    "Sid": f"Allow access through {ALIASES[alias]} for all principals in the account that are "
                    f"authorized to use {ALIASES[alias]}",
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": use,
                    "Resource": "*",
                    "Condition": {
                        "StringEquals": {"kms:CallerAccount": account},
                        "StringLike": {"kms:ViaService": f"{service}.*.amazonaws.com"},
                    },
                },
                {
                    "Sid": "Allow direct access to key metadata to the account",
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                    "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
                    "Resource": "*",
                },
                {
                    "Sid": f"Allow {ALIASES[alias]} to describe the key directly",
                    "Effect": "Allow",
                    "Principal": {"Service": f"{service}.amazonaws.com"},
                    "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
                    "Resource": "*",
                },
            ],
        }
    )
