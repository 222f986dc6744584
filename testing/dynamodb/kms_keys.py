"""Keys of KMS for the tables of a test, at the endpoint of a client of DynamoDB."""

from __future__ import annotations

from typing import Any

import boto3


def kms_of(client: Any) -> Any:
    """A client of KMS in the region, and with the endpoint, of one of DynamoDB."""
    return boto3.client(
        "kms",
        endpoint_url=client.meta.endpoint_url,
        region_name=client.meta.region_name,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    )


def new_key(client: Any) -> str:
    """The ARN of a new key in the region of a client of DynamoDB."""
    arn: str = kms_of(client).create_key()["KeyMetadata"]["Arn"]
    return arn


def key_of_aws(client: Any) -> str:
    """The ARN of DynamoDB's own key there."""
    arn: str = kms_of(client).describe_key(KeyId="alias/aws/dynamodb")["KeyMetadata"]["Arn"]
    return arn
