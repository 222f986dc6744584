"""Sites in this process whose requests go either way: the short one (`aws.short_way`), or the long one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson

from jedlik.aws.authorizer import Authorizer, Everybody
from jedlik.aws.context import Caller, Context
from jedlik.aws.credentials import Credentials
from jedlik.aws.front import Dispatcher
from jedlik.aws.meter import Meter
from jedlik.aws.origins import AnyOrigin
from jedlik.aws.routing import Router
from jedlik.aws.sigv4 import Verifier
from jedlik.aws.unsigned import Trusting
from jedlik.clock import system_clock
from jedlik.config import Settings
from jedlik.dynamodb.operations import OPERATIONS
from jedlik.memory import Memory
from jedlik.process.services import SERVICES
from jedlik.regions.stores import Stores
from jedlik.wire.messages import Request, Response
from testing.own_account import OwnAccount

AUTHORIZATION = (
    b"AWS4-HMAC-SHA256 Credential=AKID/20261128/us-east-1/dynamodb/aws4_request, "
    b"SignedHeaders=host;x-amz-date;x-amz-target, Signature=0"
)
HEADERS = {
    b"host": b"localhost:8000",
    b"accept-encoding": b"identity",
    b"content-type": b"application/x-amz-json-1.0",
    b"x-amz-date": b"20261128T120000Z",
    b"authorization": AUTHORIZATION,
}
TABLE = {
    "TableName": "both",
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": type_} for name, type_ in ("pS", "sN", "xS")],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "global",
            "KeySchema": [{"AttributeName": "x", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "local",
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "x", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
BARE = {
    "TableName": "bare",
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
ITEMS = [
    {"p": {"S": p}, "s": {"N": str(s)}, "x": {"S": f"x{s % 3}"}, "text": {"S": "long" * 40 * s}}
    for p in ("a", "é", "a\0b")
    for s in (-5, 0, 1, 2, 10, 22)
]


class Site:
    """A dispatcher over the stores of a folder."""

    def __init__(self, folder: Path, keys: Credentials | None = None, in_memory: bool = True, **given: Any) -> None:
        configured = Settings(data_dir=folder, in_memory=in_memory)
        self.stores = Stores(configured)
        self.now = 0.0
        verifier = Trusting((), system_clock) if keys is None else Verifier(keys, system_clock, lambda: self.now)
        authorizer: Authorizer = Everybody() if keys is None else OwnAccount()
        self.memory = Memory()
        self.dispatcher = Dispatcher(
            self.stores,
            Router(SERVICES, verifier),
            given.pop("origins", AnyOrigin()),
            given.pop("authorizer", authorizer),
            body_limit=1 << 20,
            memory=self.memory,
            **given,
        )
        self.loop = asyncio.Runner()
        self.loop.run(self.stores.region("us-east-1"))
        for table in (TABLE, BARE):
            self.must("CreateTable", table)
        for item in ITEMS:
            self.must("PutItem", {"TableName": "both", "Item": item})
        self.must("PutItem", {"TableName": "bare", "Item": {"p": {"S": "a"}}})

    def must(self, operation: str, asked: Any) -> Meter:
        """What a request that succeeds has used, by the handler of the long way."""
        context = Context(self.region, "id", Caller("0" * 12, "p"))

        async def answered() -> None:
            declared = OPERATIONS[operation]
            await declared.handler(context, declared.validate(orjson.loads(orjson.dumps(asked))))

        self.loop.run(answered())
        return context.meter

    @property
    def region(self) -> Any:
        return self.stores.opened("us-east-1")

    def long(self, request: Request) -> Response:
        return self.loop.run(self.dispatcher.handle(request))

    def short(self, request: Request) -> Response | None:
        async def answered() -> Response | None:
            answer = self.dispatcher.at_once(request)
            return answer if answer is None or isinstance(answer, Response) else await answer

        return self.loop.run(answered())

    def short_alone(self, request: Request) -> tuple[Response, bool]:
        """The answer of the short way to a client that has waited for its last one, and whether it was there in the
        step in which the request came."""

        async def answered() -> tuple[Response, bool]:
            await asyncio.sleep(0)  # A round of the event loop for each request.
            answer = self.dispatcher.at_once(request)
            assert answer is not None
            if isinstance(answer, Response):
                return answer, True
            steps = 0
            while True:
                steps += 1
                try:
                    waited = answer.send(None)
                except StopIteration as end:
                    return end.value, steps == 1
                waited._asyncio_future_blocking = False
                await asyncio.wait([waited])

        return self.loop.run(answered())

    def close(self) -> None:
        self.loop.run(self.stores.close())
        self.loop.close()


def request(operation: str, asked: Any, **headers: bytes) -> Request:
    more = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    body = asked if isinstance(asked, bytes) else orjson.dumps(asked)
    target = {b"x-amz-target": b"DynamoDB_20120810." + operation.encode()}
    return Request(b"POST", b"/", HEADERS | target | more, b"", body)


def without_id(response: Response) -> list[bytes]:
    return [line for line in response.headers.split(b"\r\n") if not line.startswith(b"x-amzn-RequestId")]


KEY = {"p": {"S": "a"}, "s": {"N": "1"}}
GET = {"TableName": "both", "Key": KEY}
