"""Asks one thing with boto3 and prints the outcome: `ask.py ENDPOINT SERVICE OPERATION PARAMETERS`, these in JSON."""

from __future__ import annotations

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

PATIENCE = Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 1})


def outcome(endpoint: str, service: str, operation: str, parameters: str) -> dict[str, object]:
    client = boto3.client(service, endpoint_url=endpoint, region_name="eu-central-1", config=PATIENCE)
    try:
        found = getattr(client, operation)(**json.loads(parameters))
    except ClientError as error:
        return {"error": error.response["Error"]["Code"], "text": error.response["Error"]["Message"]}
    except (EndpointConnectionError, ConnectTimeoutError):
        return {"error": "unreachable"}
    del found["ResponseMetadata"]
    return {"answer": found}


print(json.dumps(outcome(*sys.argv[1:]), default=str))
