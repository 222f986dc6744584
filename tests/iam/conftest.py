"""A server for the tests of a module, in memory; each test has an account of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from testing.jedlik_process import Server

_numbers = itertools.count(100_000_000_001)


@pytest.fixture(scope="module")
def open_server(start_shared_server: Callable[..., Server]) -> Server:
    """One that verifies nothing, so that an access key of twelve digits is an account."""
    return start_shared_server(in_memory=True)


@pytest.fixture
def account() -> str:
    """The id of an account that nobody has used."""
    return str(next(_numbers))


@pytest.fixture
def iam(open_server: Server, account: str) -> Any:
    """A client of IAM, in an account of its own."""
    return open_server.client("iam", aws_access_key_id=account)
