"""The errors with which a server refuses a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

INVALID = "One or more parameter values were invalid: "


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """The name and the text of the error with which a request is refused."""
    with pytest.raises(ClientError) as raised:
        call(**request)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def invalid(call: Callable[..., Any], **request: Any) -> str:
    """The text of the ValidationException with which a request is refused."""
    name, text = refusal(call, **request)
    assert name == "ValidationException", text
    return text
