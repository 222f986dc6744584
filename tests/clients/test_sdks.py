"""Amazon's SDKs of other languages work with Jedlik as they do with DynamoDB, signatures included."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from testing.jedlik_process import Server
from tests.clients.foreign import PROGRAMS, Foreign

CASES = (
    "tables",
    "items",
    "conditions",
    "updates",
    "queries",
    "scans",
    "batches",
    "transactions",
    "partiql",
    "streams",
    "ttl",
    "identity",
    "tags",
)
"""The cases of every program; each program has the same ones under the same names."""


@pytest.fixture(scope="module", params=["off", "on"], ids="auth-{}".format)
def authenticating(request: pytest.FixtureRequest, start_shared_server: Callable[..., Server]) -> Server:
    """A server that verifies signatures, and one that does not."""
    return start_shared_server(auth=request.param)


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda program: program.name)
def program(request: pytest.FixtureRequest) -> Foreign:
    found: Foreign = request.param
    found.installed()
    return found


@pytest.fixture(scope="module")
def failures(program: Foreign, authenticating: Server) -> dict[str, str | None]:
    """The failure of each case: one run of the program does all of them."""
    return program.failures(authenticating, CASES)


@pytest.mark.parametrize("case", CASES)
def test_an_sdk_works_with_jedlik_as_with_dynamodb(failures: dict[str, str | None], case: str) -> None:
    assert case in failures
    assert failures[case] is None, failures[case]


def test_a_wrong_secret_is_refused_with_the_sdks_own_error(
    program: Foreign, start_server: Callable[..., Server]
) -> None:
    server = start_server(auth="on", in_memory=True)
    assert program.failures(server, ["wrong_secret"], secret_key="x" * 40) == {"wrong_secret": None}
