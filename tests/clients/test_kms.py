"""Amazon's SDKs of other languages, and its encryption libraries for Python, work with Jedlik's KMS as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from testing.jedlik_process import Server
from tests.clients.foreign import KMS_LIBRARIES, KMS_PROGRAMS, Foreign

CASES = ("keys", "ciphers", "envelopes", "refusals")
"""The cases of every SDK; each has the same ones under the same names."""
LIBRARY_CASES = ("encryption_sdk", "dynamodb_encryption_client")


@pytest.fixture(scope="module")
def verifying(start_shared_server: Callable[..., Server]) -> Server:
    """A server that verifies signatures."""
    return start_shared_server(auth="on")


@pytest.fixture(scope="module", params=KMS_PROGRAMS, ids=lambda program: program.name)
def program(request: pytest.FixtureRequest) -> Foreign:
    found: Foreign = request.param
    found.installed()
    return found


@pytest.fixture(scope="module")
def failures(program: Foreign, verifying: Server) -> dict[str, str | None]:
    """The failure of each case: one run of the program does all of them."""
    return program.failures(verifying, CASES)


@pytest.mark.parametrize("case", CASES)
def test_an_sdk_works_as_with_kms(failures: dict[str, str | None], case: str) -> None:
    assert case in failures
    assert failures[case] is None, failures[case]


@pytest.mark.parametrize("case", LIBRARY_CASES)
def test_a_library_of_aws_encrypts_with_a_key_of_ours(verifying: Server, case: str) -> None:
    KMS_LIBRARIES.installed()
    failure = KMS_LIBRARIES.failures(verifying, [case], AWS_DEFAULT_REGION="us-east-1")[case]
    assert failure is None, failure
