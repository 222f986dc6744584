"""Policy documents, as JSON of their words or as any text, and requests that they decide.

What holds: a document is a policy or is refused with a sentence, whatever its kind; a policy decides every request, and
decides the same when it is prepared first; one more Deny refuses.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from fuzz.choices import Choices
from fuzz.service import Finding
from jedlik.aws.policies.evaluation import Asking, Identity, decide, finish, prepare
from jedlik.aws.policies.policy_documents import Kind, Policy
from jedlik.aws.policies.policy_parser import MalformedPolicy, parsed

ACCOUNT = "111111111111"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app"
WHO = Identity(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/app/me", Asking.ROLE_SESSION, "AROAA:me", ROLE, "AROAA")
KINDS = tuple(Kind)
NAMES = (
    *("Version", "Id", "Statement", "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal"),
    *("NotPrincipal", "Condition", "AWS", "Service", "StringEquals", "StringNotLike", "ForAllValues:StringLike"),
    *("ForAnyValue:ArnNotLike", "NumericLessThanIfExists", "DateEquals", "Bool", "Null", "IpAddress", "BinaryEquals"),
    *("aws:username", "aws:sourceip", "dynamodb:LeadingKeys", "aws:PrincipalTag/x"),
)
TEXTS = (
    *("2012-10-17", "2008-10-17", "Allow", "Deny", "*", "dynamodb:*", "dynamodb:GetItem", "sts:AssumeRole", "true"),
    *(ACCOUNT, ROLE, "arn:aws:dynamodb:*:*:table/${aws:username}", "arn:aws:s3", "${aws:x, 'y'}", "${*}", "${", "\0*"),
    *("10.0.0.0/8", "::1", "2026-01-01T00:00:00Z", "1e999", "-0", "QQ==", "*?" * 200, "a" * 500, "${$}{", "9" * 5000),
)
DENY = parsed('{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}')


def _json(choices: Choices, depth: int = 0) -> Any:
    match choices.below(8 if depth < 6 else 4):
        case 0 | 1 | 2:
            return choices.one_of(TEXTS)
        case 3:
            return choices.one_of((None, True, False, 0, -1, 2.5, 10**400, float("nan"), choices.text()))
        case 4:
            return [_json(choices, depth + 1) for _ in range(choices.below(4))]
        case _:
            return {choices.one_of(NAMES): _json(choices, depth + 1) for _ in range(choices.below(6))}


def _statement(choices: Choices) -> dict[str, Any]:
    found = {
        "Effect": choices.one_of(("Allow", "Deny")),
        "Action": choices.one_of(("*", "dynamodb:*", ["dynamodb:GetItem", "s3:*"])),
        "Resource": choices.one_of(("*", TEXTS[11], f"arn:aws:dynamodb:*:{ACCOUNT}:table/*")),
    }
    found |= {choices.one_of(NAMES): _json(choices) for _ in range(choices.below(4))}
    return found


def _parsed(text: str, kind: Kind) -> Policy | None:
    try:
        return parsed(text, kind)
    except MalformedPolicy:
        return None


def attempt(data: bytes) -> None:
    """Parse a document as each kind, and decide a request with the result."""
    choices = Choices(data)
    match choices.below(3):
        case 0:
            text = choices.text()
        case 1:
            text = json.dumps(_json(choices))
        case _:
            statements = [_statement(choices) for _ in range(choices.below(3) + 1)]
            text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    found = {kind: _parsed(text, kind) for kind in KINDS}
    resource = found[Kind.RESOURCE]
    who = replace(
        WHO,
        policies=tuple(one for one in (found[Kind.IDENTITY], found[Kind.TRUST]) if one),
        values={"aws:username": (choices.text(),)},
    )
    values = {name.lower(): (choices.one_of(TEXTS),) * choices.below(3) for name in NAMES[-4:]}
    table = f"arn:aws:dynamodb:eu-west-1:{choices.one_of((ACCOUNT, '2' * 12))}:table/{choices.one_of(TEXTS)}"
    decision = decide(who, "dynamodb:GetItem", table, values, resource)
    if decision != finish(prepare(who, "dynamodb:GetItem", table, resource), values):
        raise Finding(f"{text} decides in two ways")
    if decision.allowed is not (decision.source is None):
        raise Finding(f"{text}: {decision}")
    if decide(replace(who, boundary=DENY), "dynamodb:GetItem", table, values, resource).allowed:
        raise Finding(f"{text} allows what is denied")


SEEDS = [
    b"",
    b"\x00" + TEXTS[0].encode(),
    *(bytes((how, *range(start, start + 60))) for how in (1, 2) for start in (0, 7, 60, 150)),
]
