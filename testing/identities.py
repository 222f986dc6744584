"""Policies for tests of identities, and how calls are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def policy(*statements: dict[str, Any]) -> str:
    """A document with these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


ALLOW_READS = policy({"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"})


def refusal(call: Callable[..., Any], **request: Any) -> tuple[int, str, str]:
    """The status, the code and the text with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def answer(call: Callable[..., Any], **request: Any) -> str:
    """The code with which a call is refused, or that it is allowed."""
    try:
        call(**request)
    except ClientError as error:
        code: str = error.response["Error"]["Code"]
        return code
    return "allowed"
