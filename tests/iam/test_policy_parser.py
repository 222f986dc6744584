"""What is a policy and what is not: the parser against IAM's own texts."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.policies.policy_documents import Kind
from jedlik.aws.policies.policy_parser import MalformedPolicy, parsed

SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"
VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
RIGHT = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::example"}
NOBODY = "Missing required field Principal"


def document(*statements: Any, **elements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **elements})


def refusal(text: str, kind: Kind = Kind.IDENTITY) -> str:
    with pytest.raises(MalformedPolicy) as refused:
        parsed(text, kind)
    return str(refused.value)


def but(**elements: Any) -> dict[str, Any]:
    """A right statement, with other elements; None takes one away."""
    return {name: value for name, value in (RIGHT | elements).items() if value is not None}


@pytest.mark.parametrize(
    "text",
    [
        "this is no JSON",
        "",
        "[]",
        "1",
        "{}",
        "[" * 100_000,
        '{"Version": "2012-10-17"}',
        document(Version="2013-10-17"),
        document(),
        document("afd"),
        json.dumps({"Version": "2012-10-17", "Statement": None}),
        document(RIGHT, Extra="x"),
        document(RIGHT, Id=["x"]),
        document(RIGHT, Id={}),
        document(but(Extra="x")),
        document(but(Effect="invalid")),
        document(but(Effect=None)),
        document(but(Action=1)),
        document(but(Action=[[]])),
        document(but(Action={})),
        document(but(NotAction="s3:x")),
        document(but(NotResource=[])),
        document(but(Resource={"a": "b"})),
        document(but(Resource=["adfdf", {}])),
        document(but(Sid=1)),
        document(but(Condition=[])),
        document(but(Condition="a")),
        document(but(Condition={"a": "b"})),
        document(but(Condition={"DateGreaterThan": "b"})),
        document(but(Condition={"StringEquals": {"aws:x": {}}})),
        document(but(Condition={"StringEquals": {"aws:x": [None]}})),
        document(but(Condition={"NullIfExists": {"aws:x": "true"}})),
        document(but(Condition={"ForAnyValue:Null": {"aws:x": "true"}})),
        document(but(Condition={"Null": {"aws:x": "maybe"}})),
        document(but(Condition={"ForNoValue:StringEquals": {"aws:x": "y"}})),
        document(RIGHT).replace('"Effect"', '"Effect": "Deny", "Effect"'),
        document(but(Condition={"NumericEquals": {"aws:x": float("nan")}})),
    ],
)
def test_what_is_no_policy(text: str) -> None:
    assert refusal(text) == SYNTAX


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (but(Resource=None), "Policy statement must contain resources."),
        (but(Resource=[]), "Policy statement must contain resources."),
        (but(Resource=None, Action="invalid"), "Policy statement must contain resources."),
        (but(Action=None), "Policy statement must contain actions."),
        (but(Action=[]), "Policy statement must contain actions."),
        ({"Effect": "Allow"}, "Policy statement must contain actions."),
        (but(Action="invalid"), VENDOR),
        (but(Action=""), VENDOR),
        (but(Action=None, NotAction=""), VENDOR),
        (but(Action="a a:ListBucket"), "Vendor a a is not valid"),
        (but(Action=":Get"), "Vendor  is not valid"),
        (but(Action="s3:List:Bucket"), "Actions/Condition can contain only one colon."),
        (but(Resource="invalid resource"), 'Resource invalid resource must be in ARN format or "*".'),
        (but(Resource=""), 'Resource  must be in ARN format or "*".'),
        (but(Resource=None, NotResource="x"), 'Resource x must be in ARN format or "*".'),
        (but(Resource="adf", Action="s:3:ListBucket"), 'Resource adf must be in ARN format or "*".'),
        (but(Resource="a:bsdf"), 'Partition "bsdf" is not valid for resource "arn:bsdf:*:*:*:*".'),
        (but(Resource="a:b:c:d:e:f:g:h"), 'Partition "b" is not valid for resource "arn:b:c:d:e:f:g:h".'),
        (but(Resource="s3::x/*"), 'Partition "" is not valid for resource "arn::x/*:*:*:*".'),
        (
            but(Resource=["arn:error:s3:::x", "arn:error:s3::x"]),
            'Partition "error" is not valid for resource "arn:error:s3:::x".',
        ),
        (but(Resource="arn:aws2:s3:::x"), 'Partition "aws2" is not valid for resource "arn:aws2:s3:::x".'),
        (but(Resource="arn:awss3::x/*"), LEGACY),
        (but(Resource="arn:aws:s3::x"), LEGACY),
        (but(Action=None, Resource="arn:aws:s3::x"), LEGACY),
        (but(Resource="arn:aws:iam::${aws:PrincipalAccount}:role/x"), LEGACY),
        (but(Resource="arn:aws"), "Resource vendor must be fully qualified and cannot contain regexes."),
        (but(Resource="arn:aws:s*:::x"), "Resource vendor must be fully qualified and cannot contain regexes."),
        (
            but(Resource="arn:aws:iam:::x"),
            'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, '
            "instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, "
            "access-report/.",
        ),
        (
            but(Resource="arn:aws:iam:eu-west-1::user/x"),
            "IAM resource arn:aws:iam:eu-west-1::user/x cannot contain region information.",
        ),
        (
            but(Resource="arn:aws:s3:eu-west-1::x"),
            "Resource arn:aws:s3:eu-west-1::x can not contain region information.",
        ),
        (but(Principal="*"), "Policy document should not specify a principal."),
        (but(Condition={"DateEquals": {"aws:CurrentTime": "yesterday"}}), LEGACY),
        (but(Condition={"NumericEquals": {"s3:max-keys": "ten"}}), LEGACY),
        (but(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/40"}}), LEGACY),
        (but(Condition={"StringEquals": {"prefix": "x"}}), VENDOR),
        (
            but(Sid="no spaces"),
            "Statement IDs (SID) must be alpha-numeric. "
            "Check that your input satisfies the regular expression [0-9A-Za-z]*",
        ),
    ],
)
def test_what_a_statement_lacks(statement: dict[str, Any], message: str) -> None:
    assert refusal(document(statement)) == message


def test_two_statements_with_one_id() -> None:
    twice = but(Sid="Twice")
    assert refusal(document(twice, twice)) == "Statement IDs (SID) in a single policy must be unique."
    parsed(document(but(Sid=""), but(Sid="")))


@pytest.mark.parametrize("version", [None, "2008-10-17"])
def test_policies_of_identities_are_of_the_newer_version(version: str | None) -> None:
    old = json.dumps({"Statement": RIGHT} | ({} if version is None else {"Version": version}))
    assert refusal(old) == "Policy document must be version 2012-10-17 or greater."
    resource = json.dumps({"Statement": RIGHT | {"Principal": "*"}} | ({} if version is None else {"Version": version}))
    assert not parsed(resource, Kind.RESOURCE).has_variables


def test_a_trust_policy() -> None:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "123456789012"}}
    assert parsed(document(trust), Kind.TRUST).statements[0].resources == ()
    assert refusal(document(trust | {"Resource": "*"}), Kind.TRUST) == "Has prohibited field Resource"
    assert refusal(document({"Effect": "Allow", "Action": "sts:AssumeRole"}), Kind.TRUST) == NOBODY
    assert refusal(document(trust | {"Action": []}), Kind.TRUST) == "Missing required field Action"
    assert refusal(document(trust | {"Principal": {"AWS": "bob"}}), Kind.TRUST) == (
        'Invalid principal in policy: "AWS":"bob"'
    )
    assert refusal(document(trust | {"Principal": {"Who": "bob"}}), Kind.TRUST) == SYNTAX
    assert refusal(document(trust | {"Action": "s3:GetObject"}), Kind.TRUST) == (
        "AssumeRole policy may only specify STS AssumeRole actions."
    )


def test_a_resource_policy_has_principals() -> None:
    assert refusal(document(RIGHT), Kind.RESOURCE) == NOBODY
    parsed(document(but(Principal={"AWS": ["*", "arn:aws:iam::123456789012:role/path/name"]})), Kind.RESOURCE)
    parsed(document(but(NotPrincipal={"Service": "dynamodb.amazonaws.com"})), Kind.RESOURCE)


def test_values_need_not_be_texts() -> None:
    conditions = {"Bool": {"aws:SecureTransport": True}, "NumericEquals": {"s3:max-keys": [10, 2.5]}}
    [statement] = parsed(document(but(Condition=conditions))).statements
    assert [[value.text for value in one.values] for one in statement.conditions] == [["true"], ["10", "2.5"]]


def test_operators_are_found_in_any_case() -> None:
    conditions = {"foranyvalue:STRINGequalsIfExists": {"AWS:username": "x"}}
    [condition] = parsed(document(but(Condition=conditions))).statements[0].conditions
    assert (condition.operator, condition.quantifier) == ("StringEquals", "foranyvalue:")
    assert (condition.if_exists, condition.key) == (True, "aws:username")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["Allow", "s3:x", "*", "arn:aws:s3:::x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Statement", "Effect", "Action", "Resource", "Condition", "Principal", "AWS", "StringEquals", "aws:x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from(Kind))
def test_whatever_it_is_it_is_a_policy_or_refused(found: Any, kind: Kind) -> None:
    for text in (json.dumps(found), document(found), document(but(Condition=found)), document(but(Resource=found))):
        with contextlib.suppress(MalformedPolicy):
            parsed(text, kind)
