"""How the services on one port are told apart, and the answers for services that are not here."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from jedlik.aws import absent
from jedlik.aws.access import Scope, needs_nothing
from jedlik.aws.authorizer import Everybody
from jedlik.aws.context import Caller, Context
from jedlik.aws.errors import MissingAuthenticationTokenException
from jedlik.aws.front import Dispatcher
from jedlik.aws.origins import AnyOrigin
from jedlik.aws.protocols import json_1_0
from jedlik.aws.routing import Absent, Router
from jedlik.aws.service import Operation, Service
from jedlik.aws.sigv4 import Signed, Verifier
from jedlik.config import Settings
from jedlik.dynamodb.service import SERVICE, SERVICES, STREAMS
from jedlik.memory import Memory
from jedlik.regions.stores import Stores
from jedlik.wire.messages import NOWHERE, Request, Response, Source
from testing.jedlik_process import Server
from testing.raw_http import Answer, Wire, request

HERE = "It serves dynamodb, sts, iam, kms, tagging, ec2 and dax."
FORM = b"Content-Type: application/x-www-form-urlencoded; charset=utf-8"
JSON_1_1 = b"Content-Type: application/x-amz-json-1.1"


def scoped(service: str, region: str = "us-east-1") -> bytes:
    """An Authorization header's value."""
    return (
        f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/{region}/{service}/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    ).encode()


async def nothing(context: Context, asked: dict[str, Any]) -> dict[str, Any]:
    return {}


def service(name: str, *operations: str, **members: Any) -> Service:
    """A service that is only declared."""
    done = {one: Operation(name=one, handler=nothing, accesses=needs_nothing, validate=dict) for one in operations}
    return Service(
        **{"name": name, "signing_name": name, "api_version": None, "codec": json_1_0.CODEC, "operations": done}
        | members
    )


IDENTITY = service("sts", "GetCallerIdentity", target_prefix=None, is_global=True)
"""A service of the query protocol: its requests have no target."""
ROUTER = Router([*SERVICES, IDENTITY], Verifier(None, lambda: 0.0))


def found(target: bytes = b"/", body: bytes = b"", **headers: bytes) -> tuple[str, str | None] | Absent:
    """The service and the operation that a request is for."""
    asked = Request(b"POST", target, {name.replace("_", "-").encode(): value for name, value in headers.items()})
    asked.body = body
    way = ROUTER.targets.get(asked.headers.get(b"x-amz-target", b"")) or ROUTER.find(asked)
    if isinstance(way, Absent):
        return way
    return way.service.name, way.operation.name if way.operation is not None else None


@pytest.mark.parametrize(
    ("asked", "way"),
    [
        ({"x_amz_target": b"DynamoDB_20120810.GetItem"}, ("dynamodb", "GetItem")),
        ({"x_amz_target": b"DynamoDBStreams_20120810.GetRecords"}, ("dynamodbstreams", "GetRecords")),
        ({"x_amz_target": b"JedlikPeers_1.Pull"}, ("jedlikpeers", "Pull")),
        # The target decides before the scope, which two services may share.
        (
            {"x_amz_target": b"DynamoDBStreams_20120810.GetRecords", "authorization": scoped("kms")},
            ("dynamodbstreams", "GetRecords"),
        ),
        ({"x_amz_target": b"DynamoDB_20120810.ImportTable"}, ("dynamodb", "ImportTable")),
        ({"x_amz_target": b"DynamoDB_20120810.Import"}, ("dynamodb", None)),
        ({"x_amz_target": b"DynamoDBStreams_20120810.GetItem"}, ("dynamodbstreams", None)),
        ({"x_amz_target": b"JedlikPeers_1.ImportTable"}, ("jedlikpeers", None)),
        ({"x_amz_target": b"TrentService.Encrypt", "authorization": scoped("kms")}, Absent("kms")),
        ({"x_amz_target": b"TrentService.Encrypt"}, ("dynamodb", None)),
        ({"authorization": scoped("sts")}, ("sts", None)),
        ({"authorization": scoped("iam")}, Absent("iam")),
        ({"authorization": scoped("dynamodb")}, ("dynamodb", None)),
        ({"authorization": scoped("")}, ("dynamodb", None)),
        ({"authorization": scoped("no name")}, ("dynamodb", None)),
        ({"authorization": scoped("x" * 65)}, ("dynamodb", None)),
        # Signature Version 4A has no region in its scope.
        ({"authorization": b"AWS4-ECDSA-P256-SHA256 Credential=AKID/20261123/s3/aws4_request, x"}, Absent("s3")),
        ({"target": b"/?X-Amz-Credential=AKID%2F20261123%2Fus-east-1%2Fs3%2Faws4_request"}, Absent("s3")),
        ({"target": b"/?X-Amz-Credential=AKID%2F20261123%2Fus-east-1%2Fsts%2Faws4_request"}, ("sts", None)),
        ({"target": b"/2015-03-31/functions", "authorization": scoped("lambda")}, Absent("lambda")),
        (
            {
                "target": b"/service/GraniteServiceVersion20100801/operation/ListMetrics",
                "smithy_protocol": b"rpc-v2-cbor",
            },
            Absent("GraniteServiceVersion20100801"),
        ),
        (
            {
                "target": b"/service/GraniteServiceVersion20100801/operation/ListMetrics",
                "smithy_protocol": b"rpc-v2-cbor",
                "authorization": scoped("monitoring"),
            },
            Absent("monitoring"),
        ),
        ({"target": b"/", "smithy_protocol": b"rpc-v2-cbor"}, Absent("this")),
        # Unsigned forms are recognised by their version.
        (
            {
                "content_type": b"application/x-www-form-urlencoded",
                "body": b"Action=AssumeRoleWithSAML&Version=2011-06-15",
            },
            ("sts", None),
        ),
        (
            {"content_type": b"application/x-www-form-urlencoded; charset=utf-8", "body": b"Version=2010-05-08&x=y"},
            Absent("iam"),
        ),
        ({"content_type": b"application/x-www-form-urlencoded", "body": b"a=b"}, ("dynamodb", None)),
        ({"content_type": b"text/plain", "body": b"Version=2010-05-08"}, ("dynamodb", None)),
        ({}, ("dynamodb", None)),
    ],
)
def test_services_are_told_apart_by_headers_and_path(asked: dict[str, Any], way: Any) -> None:
    assert found(**asked) == way


# What is not here.


@pytest.mark.parametrize(
    ("name", "operation", "arguments", "code", "status"),
    [
        ("cloudtrail", "list_trails", {}, "UnknownOperationException", 400),
        ("logs", "describe_log_groups", {}, "UnknownOperationException", 400),
        ("kinesis", "list_streams", {}, "UnknownOperationException", 400),
        (
            "application-autoscaling",
            "describe_scalable_targets",
            {"ServiceNamespace": "dynamodb"},
            "UnknownOperationException",
            400,
        ),
        ("elasticache", "describe_users", {}, "InvalidAction", 400),
        ("cloudwatch", "list_metrics", {}, "UnknownOperationException", 400),
        ("lambda", "list_functions", {}, "UnknownOperationException", 404),
        ("s3", "list_buckets", {}, "NotImplemented", 501),
        ("s3", "list_objects_v2", {"Bucket": "2015-03-31"}, "NotImplemented", 501),
    ],
)
def test_a_client_of_another_service_reads_that_it_is_not_here(
    server: Server, name: str, operation: str, arguments: dict[str, Any], code: str, status: int
) -> None:
    client = client_of(server, name)
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)(**arguments)
    error = refused.value.response
    assert error["Error"]["Code"] == code
    signing_name = client.meta.service_model.signing_name
    assert error["Error"]["Message"] == f"Jedlik does not serve {signing_name} at this endpoint. {HERE}"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == status
    assert error["ResponseMetadata"]["RetryAttempts"] == 0


def client_of(server: Server, name: str) -> Any:
    """A client with its defaults, which retries where that may help."""
    return boto3.client(
        name,
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(retries={"mode": "standard"}, read_timeout=60),
    )


def test_with_verification_the_answers_are_the_same(start_server: Any) -> None:
    server = start_server(auth="on", in_memory=True)
    with pytest.raises(ClientError, match="Jedlik does not serve logs at this endpoint"):
        client_of(server, "logs").describe_log_groups()


def ask(server: Server, body: bytes, *headers: bytes, method: bytes = b"POST", target: bytes = b"/") -> Answer:
    with Wire(server.port) as wire:
        wire.send(request(body, *headers, method=method, target=target))
        return wire.receive(head=method == b"HEAD")


def test_an_answer_in_cbor(server: Server) -> None:
    answer = ask(
        server,
        b"\xa0",
        b"smithy-protocol: rpc-v2-cbor",
        b"Content-Type: application/cbor",
        b"Authorization: " + scoped("monitoring"),
        target=b"/service/GraniteServiceVersion20100801/operation/ListMetrics",
    )
    text = f"Jedlik does not serve monitoring at this endpoint. {HERE}"
    assert (answer.status, answer.headers["content-type"]) == (400, "application/cbor")
    assert answer.headers["smithy-protocol"] == "rpc-v2-cbor"
    # RFC 8949: a map of two pairs (A2), a text of 6 bytes (66), texts with their length in a byte (78).
    assert answer.body == (
        b"\xa2\x66__type\x78\x19UnknownOperationException\x67message\x78" + bytes([len(text)]) + text.encode()
    )


def test_an_answer_in_the_cbor_of_kinesis(server: Server) -> None:
    answer = ask(
        server,
        b"\xa0",
        b"X-Amz-Target: Kinesis_20131202.ListStreams",
        b"Content-Type: application/x-amz-cbor-1.1",
        b"Authorization: " + scoped("kinesis"),
    )
    assert (answer.status, answer.headers["content-type"]) == (400, "application/x-amz-cbor-1.1")
    assert answer.body.startswith(b"\xa2\x66__type")


def test_an_answer_in_json_has_the_content_type_of_the_request(server: Server) -> None:
    target = b"X-Amz-Target: Logs_20140328.DescribeLogGroups"
    answer = ask(server, b"{}", target, JSON_1_1, b"Authorization: " + scoped("logs"))
    assert (answer.status, answer.headers["content-type"]) == (400, "application/x-amz-json-1.1")
    assert json.loads(answer.body) == {
        "__type": "UnknownOperationException",
        "message": f"Jedlik does not serve logs at this endpoint. {HERE}",
    }
    assert re.fullmatch("[0-9A-Z]{52}", answer.headers["x-amzn-requestid"])
    other = ask(server, b"{}", target, b"Content-Type: evil/evil", b"Authorization: " + scoped("logs"))
    assert other.headers["content-type"] == "application/json"


def test_an_answer_in_the_query_mode_of_cloudwatch(server: Server) -> None:
    answer = ask(
        server,
        b"{}",
        b"X-Amz-Target: GraniteServiceVersion20100801.ListMetrics",
        b"Content-Type: application/x-amz-json-1.0",
        b"x-amzn-query-mode: true",
        b"Authorization: " + scoped("monitoring"),
    )
    assert answer.headers["x-amzn-query-error"] == "UnknownOperationException;Sender"


def test_an_answer_to_an_unsigned_form(server: Server) -> None:
    answer = ask(server, b"Action=ListMetrics&Version=2010-08-01", FORM)
    assert (answer.status, answer.headers["content-type"]) == (400, "text/xml")
    assert answer.body.decode() == (
        "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidAction</Code>"
        f"<Message>Jedlik does not serve monitoring at this endpoint. {HERE}</Message></Error>"
        f"<RequestId>{answer.headers['x-amzn-requestid']}</RequestId></ErrorResponse>\n"
    )


def test_an_answer_without_a_body(server: Server) -> None:
    answer = ask(server, b"", b"Authorization: " + scoped("s3"), method=b"HEAD", target=b"/bucket")
    assert (answer.status, answer.body) == (501, b"")


def test_a_preflight_request_is_answered(server: Server) -> None:
    """The question carries the presigned URL that it is about, and an error would refuse permission."""
    target = b"/bucket/key?X-Amz-Credential=AKID%2F20261123%2Fus-east-1%2Fs3%2Faws4_request"
    origin, method = b"Origin: http://localhost:3000", b"Access-Control-Request-Method: GET"
    answer = ask(server, b"", origin, method, method=b"OPTIONS", target=target)
    assert (answer.status, answer.headers["access-control-allow-methods"]) == (200, "GET")


def test_a_request_that_names_no_service_is_not_found(server: Server) -> None:
    for body, headers in ((b"a=b", (FORM,)), (b"{}", (JSON_1_1, b"X-Amz-Target: Logs_20140328.DescribeLogGroups"))):
        answer = ask(server, body, *headers)
        assert (answer.status, answer.body) == (404, b"<UnknownOperationException/>\n")


def test_names_in_a_sentence() -> None:
    assert [absent.listed(["a", "b", "c"][:count]) for count in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


# What is here.


class Knows:
    """Accepts every caller, in a way of its own."""

    verifies = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def signed(self, request: Request, service: str) -> Signed:
        self.asked.append(service)
        return Signed.of("a peer", "us-east-1", service)

    def recognised(self, request: Request, service: str) -> None:
        """Each is asked about."""


class Site:
    """A dispatcher of some services, which serves one region."""

    def __init__(self, folder: Path, *services: Service, **others: Knows) -> None:
        self.stores = Stores(Settings(data_dir=folder, in_memory=True, regions="us-east-1"))
        router = Router(services, Verifier(None, lambda: 0.0), others)
        self.dispatcher = Dispatcher(self.stores, router, AnyOrigin(), Everybody(), body_limit=1000, memory=Memory())

    def ask(self, target: bytes, authorization: bytes = b"", source: Source = NOWHERE) -> Response:
        headers = {b"x-amz-target": target, b"authorization": authorization, b"x-amz-date": b"x"}
        asked = Request(b"POST", b"/", headers | {b"content-type": b"application/json"})
        asked.source = source
        asked.body = b"{}"

        async def answer() -> Response:
            try:
                return await self.dispatcher.handle(asked)
            finally:
                await self.stores.close()

        return asyncio.run(answer())


@pytest.mark.parametrize(("is_global", "status"), [(True, 200), (False, 400)])
def test_a_global_service_is_in_every_region(tmp_path: Path, is_global: bool, status: int) -> None:
    site = Site(tmp_path, service("iam", "List", target_prefix="Iam", is_global=is_global))
    answer = site.ask(b"Iam.List", scoped("iam", "ap-south-2"))
    assert answer.status == status
    if not is_global:
        text = "Credential should be scoped to a valid region, not 'ap-south-2'. "
        assert json.loads(answer.body)["message"] == text
    assert list(tmp_path.iterdir()) == []


def test_a_handler_gets_the_caller_and_its_address(tmp_path: Path) -> None:
    seen: list[Context] = []

    async def look(context: Context, asked: dict[str, Any]) -> dict[str, Any]:
        seen.append(context)
        return {}

    look_around = Operation(name="Look", handler=look, accesses=needs_nothing, validate=dict)
    declared = service("tests", target_prefix="Tests", operations={"Look": look_around})
    source = Source("192.0.2.7", "127.0.0.1:8000")
    Site(tmp_path, declared).ask(b"Tests.Look", scoped("tests"), source)
    [context] = seen
    assert context.caller == Caller(
        account="000000000000",
        principal="arn:aws:iam::000000000000:root",
        access_key="AKIDEXAMPLE",
        source_address="192.0.2.7",
        listener="127.0.0.1:8000",
        region="us-east-1",
        scope=Scope("aws", "000000000000", "us-east-1"),
        latest=source.latest,
    )
    assert context.scope == ("aws", "000000000000", "us-east-1")
    assert context.accesses is None


def test_each_request_of_one_connection_has_its_own_caller(tmp_path: Path) -> None:
    seen: list[str | None] = []

    async def look(context: Context, asked: dict[str, Any]) -> dict[str, Any]:
        seen.append(context.caller.access_key)
        return {}

    look_around = Operation(name="Look", handler=look, accesses=needs_nothing, validate=dict)
    site = Site(tmp_path, service("tests", target_prefix="Tests", operations={"Look": look_around}))
    source = Source("192.0.2.7", "127.0.0.1:8000")
    for key in (b"ONE", b"ONE", b"OTHER", b"ONE"):
        site.ask(b"Tests.Look", scoped("tests").replace(b"AKIDEXAMPLE", key), source)
    assert seen == ["ONE", "ONE", "OTHER", "ONE"]


def test_a_service_may_identify_callers_in_another_way(tmp_path: Path) -> None:
    knows = Knows()
    services = (
        service("tests", "List", target_prefix="Tests"),
        service("peers", "Pull", target_prefix="Peers", signing_name="jedlik-peers"),
    )
    site = Site(tmp_path, *services, peers=knows)
    assert site.ask(b"Peers.Pull").status == 200
    assert knows.asked == ["jedlik-peers"]
    refused = site.ask(b"Tests.List")
    assert json.loads(refused.body)["__type"].endswith(MissingAuthenticationTokenException.__name__)
    assert knows.asked == ["jedlik-peers"]


def test_each_target_belongs_to_one_operation() -> None:
    assert ROUTER.targets[b"DynamoDB_20120810.GetItem"].operation is SERVICE.operations["GetItem"]
    assert len(ROUTER.targets) == sum(len(one.operations) for one in SERVICES)
    assert STREAMS.signing_name == SERVICE.signing_name
