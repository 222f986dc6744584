"""What applications encrypt with AWS's encryption libraries for Python, as they are: data, and items of a table."""

from __future__ import annotations

import json
import sys
import traceback
import uuid
from collections.abc import Callable
from decimal import Decimal

import aws_encryption_sdk
import boto3
from aws_encryption_sdk import CommitmentPolicy, StrictAwsKmsMasterKeyProvider
from aws_encryption_sdk.exceptions import DecryptKeyError
from aws_encryption_sdk.identifiers import Algorithm
from boto3.dynamodb.types import Binary
from botocore.config import Config
from dynamodb_encryption_sdk.encrypted.table import EncryptedTable
from dynamodb_encryption_sdk.exceptions import UnwrappingError
from dynamodb_encryption_sdk.identifiers import CryptoAction
from dynamodb_encryption_sdk.material_providers.aws_kms import AwsKmsCryptographicMaterialsProvider
from dynamodb_encryption_sdk.structures import AttributeActions

CONFIG = Config(retries={"total_max_attempts": 1})
kms = boto3.client("kms", config=CONFIG)
CONTEXT = {"purpose": "test"}


def new_key() -> str:
    found: str = kms.create_key(Description="python")["KeyMetadata"]["Arn"]
    return found


def refused(error: type[Exception], call: Callable[[], object]) -> None:
    """Check that a call raises an error."""
    try:
        call()
    except error:
        return
    raise AssertionError(f"there is no {error.__name__}")


def encryption_sdk() -> None:
    """The AWS Encryption SDK: each message has a data key that two KMS keys can open."""
    one, other = new_key(), new_key()
    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
    both = StrictAwsKmsMasterKeyProvider(key_ids=[one, other])
    source = b"attack at dawn" * 1000
    encrypted, header = client.encrypt(source=source, key_provider=both, encryption_context=CONTEXT)
    assert header.algorithm is Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
    assert len(header.encrypted_data_keys) == 2
    kms.disable_key(KeyId=one)
    found, read = client.decrypt(source=encrypted, key_provider=StrictAwsKmsMasterKeyProvider(key_ids=[other]))
    assert found == source
    assert read.encryption_context["purpose"] == "test"
    disabled = StrictAwsKmsMasterKeyProvider(key_ids=[one])
    refused(DecryptKeyError, lambda: client.decrypt(source=encrypted, key_provider=disabled))


def dynamodb_encryption_client() -> None:
    """The DynamoDB Encryption Client: attributes of items, encrypted and signed with a KMS key."""
    name = f"python-{uuid.uuid4()}"
    dynamodb = boto3.resource("dynamodb", config=CONFIG)
    table = dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "s", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
    )
    table.wait_until_exists()
    key = new_key()
    actions = AttributeActions(
        default_action=CryptoAction.ENCRYPT_AND_SIGN, attribute_actions={"open": CryptoAction.DO_NOTHING}
    )
    encrypted = EncryptedTable(
        table=table,
        materials_provider=AwsKmsCryptographicMaterialsProvider(key_id=key),
        attribute_actions=actions,
    )
    item = {
        "p": "a",
        "s": Decimal(1),
        "open": "seen",
        "text": "secret",
        "bytes": Binary(b"\x00\xff"),
        "list": ["secret", Decimal("1.5")],
    }
    encrypted.put_item(Item=dict(item))
    stored = table.get_item(Key={"p": "a", "s": 1})["Item"]
    assert stored["open"] == "seen"
    assert b"secret" not in bytes(stored["text"])
    assert encrypted.get_item(Key={"p": "a", "s": 1})["Item"] == item
    found = encrypted.query(KeyConditionExpression=boto3.dynamodb.conditions.Key("p").eq("a"))["Items"]
    assert found == [item]
    table.put_item(Item={**stored, "s": Decimal(2)})
    refused(UnwrappingError, lambda: encrypted.get_item(Key={"p": "a", "s": 2}))
    table.delete()


CASES = {function.__name__: function for function in (encryption_sdk, dynamodb_encryption_client)}

for case in sys.argv[1:]:
    failure = None
    try:
        CASES[case]()
    except Exception:
        failure = traceback.format_exc()
    print(json.dumps({"case": case, "failure": failure}))
