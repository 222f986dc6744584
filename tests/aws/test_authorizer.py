"""Whether a caller may do what it requests: the front asks an authorizer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from jedlik.aws.access import Access, Formed, Known, Scope
from jedlik.aws.authorizer import Authorizer, Everybody, Owner
from jedlik.aws.context import Caller, Context, root
from jedlik.aws.errors import AccessDeniedException
from jedlik.aws.front import Dispatcher
from jedlik.aws.origins import AnyOrigin
from jedlik.aws.protocols import json_1_0
from jedlik.aws.routing import Router
from jedlik.aws.service import Operation, Service
from jedlik.aws.sigv4 import Verifier
from jedlik.config import Settings
from jedlik.memory import Memory
from jedlik.regions.stores import Stores
from jedlik.wire.messages import Request, Response
from testing.own_account import OwnAccount

ACCOUNT = "000000000000"
STRANGER = Caller("123456789012", "arn:aws:iam::123456789012:user/eve")
ACCESS = Access("tests:Look", f"arn:aws:tests:us-east-1:{ACCOUNT}:thing/x", {})


class Strict:
    """Allows what the test has set, and records the questions."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed
        self.asked: list[tuple[Access, ...]] = []

    way = None

    def allows_everything(self, caller: Caller) -> bool:
        return False

    def allows(self, caller: Caller, accesses: tuple[Access, ...]) -> bool:
        self.asked.append(accesses)
        return all(access.action in self.allowed for access in accesses)

    def permits(self, caller: Caller) -> Strict:
        return self

    def allow(self, formed: Formed) -> bool:
        return False

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        self.asked.append(accesses)
        for access in accesses:
            if access.action not in self.allowed:
                raise AccessDeniedException(f"not {access.action}")

    async def check_across(self, caller: Caller, accesses: tuple[Access, ...], owner: Owner) -> None:
        raise NotImplementedError


class Looking:
    """An operation that records how often its accesses were computed, and the contexts that its handler got."""

    def __init__(self) -> None:
        self.worked_out = 0
        self.contexts: list[Context] = []
        self.operation = Operation(name="Look", handler=self.handle, accesses=self.accesses, validate=dict)

    def accesses(self, scope: Scope, request: Any, known: Known) -> tuple[Access, ...]:
        self.worked_out += 1
        return (Access("tests:Look", f"arn:{scope.partition}:tests:{scope.region}:{scope.account}:{request['a']}", {}),)

    async def handle(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        self.contexts.append(context)
        return {}


def ask(folder: Path, operation: Operation, authorizer: Authorizer) -> Response:
    stores = Stores(Settings(data_dir=folder, in_memory=True))
    service = Service(
        name="tests",
        signing_name="tests",
        api_version=None,
        codec=json_1_0.CODEC,
        target_prefix="Tests",
        operations={"Look": operation},
    )
    router = Router([service], Verifier(None, lambda: 0.0))
    dispatcher = Dispatcher(stores, router, AnyOrigin(), authorizer, body_limit=1000, memory=Memory())
    authorization = b"AWS4-HMAC-SHA256 Credential=K/20261123/us-east-1/tests/aws4_request, SignedHeaders=x, Signature=x"
    headers = {b"x-amz-target": b"Tests.Look", b"authorization": authorization, b"x-amz-date": b"x"}
    request = Request(b"POST", b"/", headers | {b"content-type": b"application/json"})
    request.body = b'{"a": "thing"}'
    return asyncio.run(dispatcher.handle(request))


def test_accesses_are_computed_once_and_passed_to_the_handler(tmp_path: Path) -> None:
    looking, strict = Looking(), Strict("tests:Look")
    assert ask(tmp_path, looking.operation, strict).status == 200
    assert looking.worked_out == 1
    [context] = looking.contexts
    assert context.accesses == (Access("tests:Look", f"arn:aws:tests:us-east-1:{ACCOUNT}:thing", {}),)
    assert strict.asked == [context.accesses]


def test_a_denied_request_does_not_reach_the_handler(tmp_path: Path) -> None:
    looking = Looking()
    refused = ask(tmp_path, looking.operation, Strict())
    assert (refused.status, json.loads(refused.body)["Message"]) == (400, "not tests:Look")
    assert looking.contexts == []


def test_accesses_are_not_computed_for_a_caller_that_may_do_everything(tmp_path: Path) -> None:
    for authorizer in (Everybody(), OwnAccount()):
        looking = Looking()
        assert ask(tmp_path, looking.operation, authorizer).status == 200
        assert looking.worked_out == 0
        assert looking.contexts[0].accesses is None


def test_a_key_of_an_account_may_do_everything_in_it_and_nothing_in_others() -> None:
    own = OwnAccount()
    assert own.allows_everything(STRANGER)
    asyncio.run(own.check(Caller(ACCOUNT, root(ACCOUNT)), (ACCESS,)))
    with pytest.raises(AccessDeniedException) as refused:
        asyncio.run(own.check_across(STRANGER, (ACCESS,), nobody))
    assert refused.value.message == (
        "User: arn:aws:iam::123456789012:user/eve is not authorized to perform: tests:Look on resource: "
        "arn:aws:tests:us-east-1:000000000000:thing/x because no resource-based policy allows the tests:Look action"
    )


def test_without_verification_everything_is_allowed() -> None:
    assert Everybody().allows_everything(STRANGER)
    asyncio.run(Everybody().check(STRANGER, (ACCESS,)))
    asyncio.run(Everybody().check_across(STRANGER, (ACCESS,), nobody))


async def nobody() -> tuple[Access, ...]:
    raise AssertionError("policies are looked up that do not exist")
