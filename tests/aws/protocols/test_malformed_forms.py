"""Malformed forms, each with its error of the query protocol: always 400, and nothing takes effect."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.errors import ServiceError
from jedlik.aws.protocols.codecs import QueryCodec
from jedlik.aws.protocols.query_forms import DEEPEST, LONGEST_NAME, MOST_FIELDS

STS = QueryCodec("sts", "2011-06-15")
IAM = QueryCodec("iam", "2010-05-08")
ROLE = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/x&RoleSessionName=me"
STEPS = ["Tags", "member", "1", "2", "Key", "Value", "PolicyArns", "arn", "", "x"]
NO_FORM = "The request body is no form, or has too many fields."
GROUP = "Action=CreateGroup&Version=2010-05-08"


def read(codec: QueryCodec, body: bytes) -> dict[str, Any]:
    parsed = codec.parsed(body)
    return codec.checked(codec.operation_of(parsed), parsed)


def code(codec: QueryCodec, form: str | bytes) -> tuple[str, str]:
    """The code and message with which a form is refused."""
    with pytest.raises(ServiceError) as raised:
        read(codec, form.encode() if isinstance(form, str) else form)
    status, _, body = codec.error(raised.value, "an-id")
    assert status == 400
    text = body.decode()
    assert "<Type>Sender</Type>" in text
    return text.partition("<Code>")[2].partition("</Code>")[0], raised.value.message


@pytest.mark.parametrize(
    ("form", "expected", "message"),
    [
        ("", "MissingAction", "The request must contain the parameter Action."),
        ("Action=&Version=2011-06-15", "MissingAction", "The request must contain the parameter Action."),
        ("Action=Fly", "InvalidAction", "Could not find operation Fly for version 2011-06-15"),
        (
            "Action=GetCallerIdentity&Version=2010-05-08",
            "InvalidAction",
            "Could not find operation GetCallerIdentity for version 2010-05-08",
        ),
        (b"Action=\xff", "MalformedQueryString", NO_FORM),
        ("Action=%ff", "MalformedQueryString", NO_FORM),
        ("&".join(["a=b"] * (MOST_FIELDS + 1)), "MalformedQueryString", NO_FORM),
        ("a" * (LONGEST_NAME + 1) + "=", "MalformedQueryString", "The name of a field is longer than 1024 characters."),
        ("." * DEEPEST + "=", "MalformedQueryString", "A field is nested more deeply than 32 levels."),
        (f"{ROLE}&DurationSeconds=x", "InvalidParameterValue", "The value of DurationSeconds is no integer."),
        (f"{ROLE}&DurationSeconds=1_000", "InvalidParameterValue", "The value of DurationSeconds is no integer."),
        (f"{ROLE}&DurationSeconds=%EF%BC%91", "InvalidParameterValue", "The value of DurationSeconds is no integer."),
        (f"{ROLE}&DurationSeconds=", "InvalidParameterValue", "The value of DurationSeconds is no integer."),
        (
            f"{ROLE}&DurationSeconds.x=1",
            "MalformedQueryString",
            "DurationSeconds is a integer, and a structure is given for it.",
        ),
        (f"{ROLE}&Tags=a", "MalformedQueryString", "Tags is a list, and a value is given for it."),
        (f"{ROLE}&Tags.1.Key=a", "MalformedQueryString", "The elements of Tags are not in Tags.member."),
        (f"{ROLE}&Tags.member.x.Key=a", "MalformedQueryString", "An element of Tags.member has no number."),
        (f"{ROLE}&Tags.member.-1.Key=a", "MalformedQueryString", "An element of Tags.member has no number."),
        (f"{ROLE}&Tags.member.{'9' * 900}.Key=a", "MalformedQueryString", "An element of Tags.member has no number."),
        (
            f"{ROLE}&Tags.member.1=a",
            "MalformedQueryString",
            "Tags.member.1 is a structure, and a value is given for it.",
        ),
        (
            f"{ROLE}&Tags.member.1.Key=a&Tags.member.1=b",
            "MalformedQueryString",
            "Tags.member.1.Key and another field cannot both be given.",
        ),
        (
            f"{ROLE}&Tags.member.1=b&Tags.member.1.Key=a",
            "MalformedQueryString",
            "Tags.member.1 and another field cannot both be given.",
        ),
        (
            f"{ROLE}&DurationSeconds=1",
            "ValidationError",
            "1 validation error detected: Value '1' at 'durationSeconds' failed to satisfy constraint: "
            "Member must have value greater than or equal to 900",
        ),
        (
            f"{ROLE}&DurationSeconds=99999999999",
            "MalformedInput",
            "NUMBER_VALUE cannot be converted to Integer",
        ),
        (
            "Action=AssumeRole&Version=2011-06-15&RoleArn=short",
            "ValidationError",
            "2 validation errors detected: Value 'short' at 'roleArn' failed to satisfy constraint: "
            "Member must have length greater than or equal to 20; Value null at 'roleSessionName' failed to satisfy "
            "constraint: Member must not be null",
        ),
    ],
)
def test_refusals_of_sts(form: str | bytes, expected: str, message: str) -> None:
    assert code(STS, form) == (expected, message)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            f"{GROUP}&GroupName=a/b",
            "1 validation error detected: Value 'a/b' at 'groupName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [\\w+=,.@-]+",
        ),
        # Java's \w matches ASCII letters only.
        (
            f"{GROUP}&GroupName=%C3%BC",
            "1 validation error detected: Value 'ü' at 'groupName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [\\w+=,.@-]+",
        ),
        # A password is not shown.
        (
            "Action=CreateLoginProfile&Version=2010-05-08&UserName=me&Password=",
            "2 validation errors detected: Value at 'password' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [\\u0009\\u000A\\u000D\\u0020-\\u00FF]+; "
            "Value at 'password' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
    ],
)
def test_refusals_of_iam(form: str, message: str) -> None:
    assert code(IAM, form) == ("ValidationError", message)


def test_the_largest_possible_form() -> None:
    fields = "&".join(f"Tags.member.{number}.Key=a" for number in range(1, MOST_FIELDS - 5))
    refused, message = code(STS, f"{ROLE}&{fields}")
    assert refused == "ValidationError"
    assert message.count("failed to satisfy constraint") == 10
    assert len(message) < 1_000_000


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(STEPS), max_size=6),
            st.text(max_size=3),
        ),
        max_size=8,
    )
)
def test_any_form_is_an_input_or_refused(pairs: list[tuple[list[str], str]]) -> None:
    refused: ServiceError | None = None
    try:
        STS.checked("AssumeRole", {".".join(steps): text for steps, text in pairs})
    except ServiceError as error:
        refused = error
    assert refused is None or STS.error(refused, "an-id")[0] == 400
