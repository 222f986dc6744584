"""A request's way for services of each protocol: signed by botocore, verified, answered by a handler of the test."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys

from jedlik.aws import credentials as access_keys
from jedlik.aws.access import needs_nothing
from jedlik.aws.context import Context
from jedlik.aws.credentials import Credentials
from jedlik.aws.front import Dispatcher
from jedlik.aws.origins import AnyOrigin
from jedlik.aws.protocols import cbor_values
from jedlik.aws.protocols.codecs import CborCodec, JsonCodec, QueryCodec
from jedlik.aws.routing import Router
from jedlik.aws.service import Operation, Service
from jedlik.aws.sigv4 import Verifier
from jedlik.clock import system_clock
from jedlik.config import Settings
from jedlik.dynamodb.service import SERVICES
from jedlik.memory import Memory
from jedlik.regions.stores import Stores
from jedlik.wire.messages import Request, Response
from testing.own_account import OwnAccount

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
IDENTITY = "Action=GetCallerIdentity&Version=2011-06-15"
CBOR = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor", "Accept": "application/cbor"}


async def get_caller_identity(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    caller = context.caller
    return {"UserId": caller.account, "Account": caller.account, "Arn": caller.principal}


async def get_tag_keys(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    return {"TagKeys": ["team", request.get("PaginationToken", "")]}


def operation(handler: Any, name: str) -> dict[str, Operation]:
    return {name: Operation(name=name, handler=handler, accesses=needs_nothing)}


STS = Service(
    name="sts",
    signing_name="sts",
    api_version="2011-06-15",
    codec=QueryCodec("sts", "2011-06-15"),
    target_prefix=None,
    operations=operation(get_caller_identity, "GetCallerIdentity"),
    is_global=True,
)
TAGGING = Service(
    name="resourcegroupstaggingapi",
    signing_name="tagging",
    api_version="2017-01-26",
    codec=JsonCodec("resourcegroupstaggingapi", "2017-01-26"),
    cbor=CborCodec("resourcegroupstaggingapi", "2017-01-26"),
    target_prefix="ResourceGroupsTaggingAPI_20170126",
    operations=operation(get_tag_keys, "GetTagKeys"),
)
TARGET = {
    "X-Amz-Target": "ResourceGroupsTaggingAPI_20170126.GetTagKeys",
    "Content-Type": "application/x-amz-json-1.1",
}
PATH = "/service/ResourceGroupsTaggingAPI_20170126/operation/GetTagKeys"


class Site:
    """Services behind a dispatcher that verifies signatures, and a client with a key."""

    def __init__(self, folder: Path) -> None:
        self.key = access_keys.create(folder / "keys.json")
        self.stores = Stores(Settings(data_dir=folder / "data", in_memory=True, regions="us-east-1"))
        verifier = Verifier(Credentials(folder / "keys.json"), system_clock)
        self.dispatcher = Dispatcher(
            self.stores,
            Router([*SERVICES, STS, TAGGING], verifier),
            AnyOrigin(),
            OwnAccount(),
            body_limit=1000,
            memory=Memory(),
        )

    def ask(
        self,
        service: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        method: str = "POST",
        target: str = "/",
        region: str = "us-east-1",
        auth: Any = SigV4Auth,
    ) -> Response:
        asked = AWSRequest(method, f"http://localhost:8000{target}", headers=dict(headers or {}), data=body)
        if service:
            auth(Keys(self.key.access_key, self.key.secret), service, region).add_auth(asked)
        given = {name.lower().encode(): str(value).encode() for name, value in asked.headers.items()}
        sent = Request(
            method.encode(),
            asked.url.removeprefix("http://localhost:8000").encode(),
            {b"host": b"localhost:8000"} | given,
            body=body,
        )

        async def answer() -> Response:
            try:
                return await self.dispatcher.handle(sent)
            finally:
                await self.stores.close()

        return asyncio.run(answer())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def header(response: Response, name: str) -> str | None:
    found = re.search(rf"^{name}: (.*)\r$", response.headers.decode(), re.MULTILINE)
    return found and found[1]


def check_identity(response: Response) -> None:
    assert response.status == 200
    assert header(response, "Content-Type") == "text/xml"
    assert response.body.decode() == (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        "<UserId>000000000000</UserId><Account>000000000000</Account><Arn>arn:aws:iam::000000000000:root</Arn>"
        "</GetCallerIdentityResult><ResponseMetadata>"
        f"<RequestId>{header(response, 'x-amzn-RequestId')}</RequestId>"
        "</ResponseMetadata></GetCallerIdentityResponse>\n"
    )


def test_a_form(site: Site) -> None:
    check_identity(site.ask("sts", body=IDENTITY.encode(), headers=FORM, region="ap-south-2"))


def test_a_query_string_in_place_of_a_form(site: Site) -> None:
    """Presigned so that others send it, and show by that who they are (Kubernetes, Vault)."""
    check_identity(site.ask("sts", method="GET", target=f"/?{IDENTITY}"))
    check_identity(site.ask("sts", method="GET", target=f"/?{IDENTITY}", auth=Presigning))


def test_a_get_is_read_from_its_query_string_whatever_its_body_is(site: Site) -> None:
    other = IDENTITY.replace("GetCallerIdentity", "AssumeRole").encode()
    check_identity(site.ask("sts", method="GET", target=f"/?{IDENTITY}", body=other))


class Presigning(SigV4QueryAuth):  # type: ignore[misc] # botocore has no types
    """In the query string."""

    def __init__(self, keys: Keys, service: str, region: str) -> None:
        super().__init__(keys, service, region, expires=60)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("Action=AssumeRole&Version=2011-06-15", "InvalidAction", "Jedlik does not support AssumeRole yet"),
        (
            "Action=Nothing&Version=2011-06-15",
            "InvalidAction",
            "Could not find operation Nothing for version 2011-06-15",
        ),
        ("", "MissingAction", "The request must contain the parameter Action."),
    ],
)
def test_an_action_that_is_not_supported(site: Site, body: str, code: str, message: str) -> None:
    refused = site.ask("sts", body=body.encode(), headers=FORM)
    assert refused.status == 400
    assert f"<Code>{code}</Code><Message>{message}</Message>" in refused.body.decode()


def test_an_unsigned_form_is_refused_in_xml(site: Site) -> None:
    refused = site.ask("", body=IDENTITY.encode(), headers=FORM)
    assert (refused.status, header(refused, "Content-Type")) == (403, "text/xml")
    assert b"<Code>MissingAuthenticationToken</Code>" in refused.body


def test_a_signature_for_another_service_is_refused(site: Site) -> None:
    """A signature is good for one service: otherwise a form that somebody else received could be sent to another
    service."""
    asked = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
    assert site.ask("dynamodb", body=b"{}", headers=asked).status == 200
    refused = site.ask("sts", body=b"{}", headers=asked)
    assert orjson.loads(refused.body)["message"] == "Credential should be scoped to correct service: 'dynamodb'. "
    refused = site.ask("dynamodb", body=b"{}", headers=TARGET)
    assert orjson.loads(refused.body)["message"] == "Credential should be scoped to correct service: 'tagging'. "


def test_a_signer_is_remembered_for_one_service(site: Site) -> None:
    """Its header is remembered up to the signature, and it may come again with another target."""
    for _ in range(2):
        assert site.ask("tagging", body=b"{}", headers=TARGET).status == 200
        other = TARGET | {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
        refused = site.ask("tagging", body=b"{}", headers=other)
        assert orjson.loads(refused.body)["message"] == "Credential should be scoped to correct service: 'dynamodb'. "


def test_json_1_1(site: Site) -> None:
    answer = site.ask("tagging", body=b'{"PaginationToken": "x"}', headers=TARGET)
    assert (answer.status, header(answer, "Content-Type")) == (200, "application/x-amz-json-1.1")
    assert orjson.loads(answer.body) == {"TagKeys": ["team", "x"]}
    wrong = site.ask("tagging", body=b'{"PaginationToken": 5}', headers=TARGET)
    assert (wrong.status, orjson.loads(wrong.body)["__type"]) == (400, "SerializationException")
    target = TARGET | {"X-Amz-Target": "ResourceGroupsTaggingAPI_20170126.StartReportCreation"}
    refused = site.ask("tagging", body=b"{}", headers=target)
    assert orjson.loads(refused.body) == {
        "__type": "UnknownOperationException",
        "message": "Jedlik does not support StartReportCreation yet",
    }


def test_json_1_0_is_another_protocol(site: Site) -> None:
    refused = site.ask("tagging", body=b"{}", headers=TARGET | {"Content-Type": "application/x-amz-json-1.0"})
    assert (refused.status, refused.body) == (404, b"<UnknownOperationException/>\n")


def test_cbor(site: Site) -> None:
    answer = site.ask("tagging", body=cbor_values.encoded({"PaginationToken": "x"}), headers=CBOR, target=PATH)
    assert (answer.status, header(answer, "Content-Type")) == (200, "application/cbor")
    assert header(answer, "smithy-protocol") == "rpc-v2-cbor"
    assert cbor_values.decoded(answer.body) == {"TagKeys": ["team", "x"]}
    for name, message in (("GetResources", "Jedlik does not support GetResources yet"), ("Nothing", "")):
        path = PATH.replace("GetTagKeys", name)
        refused = site.ask("tagging", body=cbor_values.encoded({}), headers=CBOR, target=path)
        assert header(refused, "smithy-protocol") == "rpc-v2-cbor"
        assert cbor_values.decoded(refused.body) == {
            "__type": "com.amazonaws.resourcegroupstaggingapi#UnknownOperationException",
            "message": message,
        }


def test_a_path_is_signed(site: Site) -> None:
    body = cbor_values.encoded({})
    asked = AWSRequest("POST", "http://localhost:8000/service/x/operation/y", headers=dict(CBOR), data=body)
    SigV4Auth(Keys(site.key.access_key, site.key.secret), "tagging", "us-east-1").add_auth(asked)
    headers = dict(asked.headers.items()) | {"Host": "localhost:8000"}
    refused = site.ask("", body=body, headers=headers, target=PATH)
    assert cbor_values.decoded(refused.body)["__type"].endswith("#InvalidSignatureException")


def test_dynamodb_has_no_cbor(site: Site) -> None:
    refused = site.ask("dynamodb", body=b"\xa0", headers=CBOR, target="/service/DynamoDB_20120810/operation/ListTables")
    assert cbor_values.decoded(refused.body)["message"] == "Jedlik serves dynamodb, but not in this protocol."
