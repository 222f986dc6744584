"""A client of KMS, and a new key."""

from __future__ import annotations

from typing import Any

import pytest

from testing.jedlik_process import Server


@pytest.fixture
def kms(server: Server) -> Any:
    """A client of KMS, of a server that verifies nothing."""
    return server.client("kms")


@pytest.fixture
def key(kms: Any) -> str:
    """The id of a new key."""
    made: str = kms.create_key()["KeyMetadata"]["KeyId"]
    return made
