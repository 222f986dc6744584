"""The query protocol: forms to inputs, and results to XML that botocore reads."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.protocols import query_forms, query_xml
from jedlik.aws.protocols.query_forms import Malformed, WrongValue
from jedlik.aws.protocols.wire_models import WireModel, wire_model

SESSION = botocore.session.get_session()
CLOUDWATCH = wire_model("cloudwatch", "2010-08-01")
STS = wire_model("sts", "2011-06-15")
SMALL = WireModel(
    {"xmlNamespace": "https://example.com/"},
    {"Do": {"input": {"shape": "In"}, "output": {"shape": "In", "resultWrapper": "DoResult"}}},
    {
        "In": {
            "type": "structure",
            "members": {
                "Name": {"shape": "String"},
                "Count": {"shape": "Integer"},
                "Ratio": {"shape": "Double"},
                "Yes": {"shape": "Boolean"},
                "Raw": {"shape": "Blob"},
                "At": {"shape": "Timestamp"},
                "Names": {"shape": "Names"},
                "Flat": {"shape": "Flat"},
                "By": {"shape": "By"},
                "Inner": {"shape": "In"},
            },
        },
        "String": {"type": "string"},
        "Integer": {"type": "integer"},
        "Double": {"type": "double"},
        "Boolean": {"type": "boolean"},
        "Blob": {"type": "blob"},
        "Timestamp": {"type": "timestamp"},
        "Names": {"type": "list", "member": {"shape": "String"}},
        "Flat": {"type": "list", "flattened": True, "member": {"shape": "In"}},
        "By": {"type": "map", "key": {"shape": "String"}, "value": {"shape": "In"}},
    },
)


def read(form: str) -> dict[str, Any]:
    return query_forms.input_of(SMALL, "In", query_forms.fields(form.encode()))


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ("", {}),
        ("Action=Do&Version=1&Unknown=x&Unknown.x=y", {}),
        ("Name=a%20b+c%26&Count=-3&Ratio=1.5&Yes=true", {"Name": "a b c&", "Count": -3, "Ratio": 1.5, "Yes": True}),
        ("Name=&Yes=false", {"Name": "", "Yes": False}),
        ("Name=first&Name=second", {"Name": "first"}),
        ("Raw=YQ%3D%3D&At=2026-11-28T00:00:00Z", {"Raw": b"a", "At": 1795824000.0}),
        ("Names.member.2=b&Names.member.1=a&Names.member.10=c", {"Names": ["a", "b", "c"]}),
        ("Names=", {"Names": []}),
        ("Flat.1.Name=a&Flat.2.Count=1", {"Flat": [{"Name": "a"}, {"Count": 1}]}),
        ("By.entry.1.key=k&By.entry.1.value.Name=a", {"By": {"k": {"Name": "a"}}}),
        ("Inner.Inner.Names.member.1=a", {"Inner": {"Inner": {"Names": ["a"]}}}),
    ],
)
def test_inputs(form: str, found: dict[str, Any]) -> None:
    assert read(form) == found


@pytest.mark.parametrize(
    "form",
    [
        "Count=x",
        "Yes=True",
        "Raw=%",
        "At=yesterday",
        "Name.x=1",
        "Names=a",
        "Names.member.x=1",
        f"Names.member.{'1' * 5000}=1",
        "Inner=a",
        "Name=a&Name.b=c",
        "Inner.Name=a&Inner=c",
        "By.entry.1.value.Name=a",
        "By.entry.1=a",
        "Inner." * 40 + "Name=a",
        "&".join(f"Flat.{n}.Name=a" for n in range(query_forms.MOST_FIELDS + 1)),
        "Name=" + "%41" * 350_000,
    ],
)
def test_what_is_no_input(form: str) -> None:
    with pytest.raises((Malformed, WrongValue)):
        read(form)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_body_is_a_form_or_malformed(body: bytes) -> None:
    try:
        query_forms.input_of(SMALL, "In", query_forms.fields(body))
    except (Malformed, WrongValue):
        return


def serialized(service: str, operation: str, **request: Any) -> bytes:
    """The body that botocore sends."""
    model = SESSION.get_service_model(service).operation_model(operation)
    serializer = create_serializer("query")
    body: dict[str, Any] = serializer.serialize_to_request(request, model)["body"]
    return urlencode(body).encode()


def parsed(service: str, operation: str, body: bytes, status: int = 200) -> dict[str, Any]:
    """botocore's reading of an answer."""
    output = SESSION.get_service_model(service).operation_model(operation).output_shape
    answer: dict[str, Any] = create_parser("query").parse({"body": body, "headers": {}, "status_code": status}, output)
    answer["ResponseMetadata"].pop("HTTPStatusCode")
    answer["ResponseMetadata"].pop("HTTPHeaders")
    return answer


def test_requests_of_botocore_are_read() -> None:
    request = {
        "RoleArn": "arn:aws:iam::123456789012:role/x",
        "RoleSessionName": "me & you",
        "PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, {"arn": "arn:aws:iam::aws:policy/job"}],
        "DurationSeconds": 900,
        "Tags": [{"Key": "k", "Value": "ü"}],
        "TransitiveTagKeys": ["k"],
    }
    sent = query_forms.fields(serialized("sts", "AssumeRole", **request))
    assert query_forms.input_of(STS, STS.input_shape("AssumeRole"), sent) == request
    assert sent["Action"] == "AssumeRole"
    assert sent["Version"] == "2011-06-15"


def test_botocore_reads_answers() -> None:
    result = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/<&>", "UserId": "AID\x00A"}
    answer = parsed("sts", "GetCallerIdentity", query_xml.answer(STS, "GetCallerIdentity", result, "an-id"))
    assert answer == result | {"UserId": "AIDA", "ResponseMetadata": {"RequestId": "an-id"}}
    metrics = {
        "MetricDataResults": [{"Id": "m", "Values": [1.5, 2.0], "StatusCode": "Complete"}],
        "Messages": [],
    }
    body = query_xml.answer(CLOUDWATCH, "GetMetricData", metrics, "an-id")
    found = parsed("cloudwatch", "GetMetricData", body)
    assert {name: found[name] for name in metrics} == metrics


def test_botocore_reads_refusals() -> None:
    body = query_xml.refusal(STS, "InvalidAction", "not <this>", False, "an-id")
    answer = parsed("sts", "GetCallerIdentity", body, 400)
    assert answer["Error"] == {"Type": "Sender", "Code": "InvalidAction", "Message": "not <this>"}
    assert answer["ResponseMetadata"]["RequestId"] == "an-id"
    assert b"<Type>Receiver</Type>" in query_xml.refusal(STS, "InternalFailure", "", True, "an-id")


def test_every_type_in_an_answer() -> None:
    result = {
        "Name": "a",
        "Count": 1,
        "Yes": True,
        "Raw": b"a",
        "At": 1795824000.0,
        "Names": ["a", "b"],
        "Flat": [{"Name": "a"}, {}],
        "By": {"k": {"Yes": False}},
    }
    assert query_xml.answer(SMALL, "Do", result, "an-id").decode() == (
        '<DoResponse xmlns="https://example.com/"><DoResult><Name>a</Name><Count>1</Count><Yes>true</Yes>'
        "<Raw>YQ==</Raw><At>2026-11-28T00:00:00Z</At><Names><member>a</member><member>b</member></Names>"
        "<Flat><Name>a</Name></Flat><Flat></Flat><By><entry><key>k</key><value><Yes>false</Yes></value></entry></By>"
        "</DoResult><ResponseMetadata><RequestId>an-id</RequestId></ResponseMetadata></DoResponse>\n"
    )
