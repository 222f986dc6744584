"""Signatures: every correct form, and DynamoDB's error for each incorrect one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws import credentials as access_keys
from jedlik.aws import signature_claims
from jedlik.aws.credentials import Credential, Credentials
from jedlik.aws.errors import ServiceError
from jedlik.aws.sigv4 import Signed, Signer, Verifier
from jedlik.wire.messages import HeadForm, Request
from testing import signing
from testing.jedlik_process import Server, run_jedlik
from testing.known_forms import form_of, in_form
from testing.raw_http import Wire, request
from testing.signing import BODY, presigned, signed

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
TOKEN_INVALID = "The security token included in the request is invalid"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)

SERVICE = "dynamodb"

Change = Callable[[Request], None]


class Clock:
    """Stands still until the test moves it, and so does a steady clock beside it."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()
        self.steady_now = 1000.0

    def __call__(self) -> float:
        return self.now

    def steady(self) -> float:
        return self.steady_now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.steady_now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def signer_clock(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The client signs at noon, except in tests over the wire."""
    if "start_server" not in request.fixturenames:
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: NOW)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "credentials.json"


@pytest.fixture
def credential(keys: Path) -> Credential:
    return access_keys.create(keys)


@pytest.fixture
def verifier(keys: Path, credential: Credential, clock: Clock) -> Verifier:
    return Verifier(Credentials(keys), clock, clock.steady)


def refusal(verifier: Verifier, asked: Request) -> tuple[str, str]:
    """The name and text of the error for a request."""
    with pytest.raises(ServiceError) as refused:
        verifier.signed(asked, SERVICE)
    assert refused.value.status == 400
    assert refused.value.namespace == "com.amazon.coral.service#"
    return refused.value.name, refused.value.message


def set_header(name: bytes, value: bytes) -> Change:
    return lambda asked: asked.headers.update({name: value})


def in_authorization(old: bytes, new: bytes) -> Change:
    def change(asked: Request) -> None:
        authorization = asked.headers[b"authorization"]
        assert old in authorization
        asked.headers[b"authorization"] = authorization.replace(old, new)

    return change


# Right.


@pytest.mark.parametrize("region", ["us-east-1", "eu-isoe-west-1", "eusc-de-east-1", "mx-central-1"])
def test_the_caller_is_identified_by_key_and_region(verifier: Verifier, credential: Credential, region: str) -> None:
    for _ in range(3):
        assert verifier.signed(signed(credential, region=region), SERVICE) == Signed.of(
            credential.access_key, region, SERVICE
        )


def test_a_presigned_request_is_as_good(verifier: Verifier, credential: Credential) -> None:
    assert verifier.signed(presigned(credential), SERVICE) == Signed.of(credential.access_key, "us-east-1", SERVICE)


@pytest.mark.parametrize("query", ["?b=2&a=1", "?a=%20x&A=~", "?empty=&none", "?q=a%2Fb", "?z=%C3%A9"])
def test_the_query_string_is_signed_in_one_form(verifier: Verifier, credential: Credential, query: str) -> None:
    for asked in (signed(credential, query=query), presigned(credential, query=query)):
        assert verifier.signed(asked, SERVICE).access_key == credential.access_key


@pytest.mark.parametrize(
    "change",
    [
        set_header(b"content-type", b"   application/x-amz-json-1.0   "),
        set_header(b"meerkat", b"Hello    world"),
        set_header(b"not-signed", b"anything"),
        set_header(b"x-amzn-trace-id", b"Root=1-67891233-abcdef012345678912345678"),
        set_header(b"x-amz-cf-id", b"abc=="),
        set_header(b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"),
        in_authorization(b", ", b","),
        in_authorization(b", ", b"  ,   "),
        in_authorization(b", ", b" "),
    ],
    ids=[
        "around",
        "within",
        "another header",
        "load balancer",
        "CloudFront",
        "hash",
        "commas only",
        "commas and spaces",
        "spaces only",
    ],
)
def test_changes_that_proxies_may_make_do_not_matter(
    verifier: Verifier, credential: Credential, change: Change
) -> None:
    for _ in range(2):
        asked = signed(credential, headers={"Meerkat": "Hello world"})
        change(asked)
        assert verifier.signed(asked, SERVICE).access_key == credential.access_key


def test_the_parts_may_come_in_any_order(verifier: Verifier, credential: Credential, keys: Path) -> None:
    other = access_keys.create(keys)
    for key in (credential, other, credential):
        asked = signed(key)
        algorithm, *parts = asked.headers[b"authorization"].replace(b",", b"").split()
        asked.headers[b"authorization"] = b" ".join([algorithm, *reversed(parts)])
        assert verifier.signed(asked, SERVICE).access_key == key.access_key


@pytest.mark.parametrize("date", [b"Mon, 23 Nov 2026 12:00:00 GMT", b"20261123T120000Z"])
def test_the_time_may_be_in_a_date_header(verifier: Verifier, credential: Credential, date: bytes) -> None:
    asked = Request(b"POST", b"/", {b"host": b"localhost", b"date": date})
    caller = Signed.of(credential.access_key, "us-east-1", SERVICE)
    signature = Signer(caller, credential, "20261123", "date;host").signature(asked, b"", b"20261123T120000Z")
    scope = f"{credential.access_key}/20261123/us-east-1/dynamodb/aws4_request"
    asked.headers[b"authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=date;host, Signature={signature.decode()}".encode()
    )
    assert verifier.signed(asked, SERVICE) == caller


@given(
    asked=st.lists(
        st.tuples(
            st.sampled_from([b"GetItem", b"PutItem", b"two  words", b"x" * 2000]),
            st.sampled_from([b"20261123T120000Z", b"20261123T120001Z"]),
            st.sampled_from([b"", b"{}", b"[]"]),
            st.sampled_from([b"", b"", b"a=b"]),
            st.sampled_from([None, 0, 1, 2]),
        ),
        max_size=8,
    )
)
def test_a_signer_signs_as_one_that_has_signed_nothing_before(
    asked: list[tuple[bytes, bytes, bytes, bytes, int | None]],
) -> None:
    def signer() -> Signer:
        signed = Signed.of("AKID", "us-east-1", SERVICE)
        return Signer(signed, access_keys.Credential("AKID", "secret"), "20261123", "host;x-amz-date;x-amz-target")

    known = signer()
    owns = [{b"x-amz-target"}, {b"x-amz-target", b"x-amz-date"}, {b"user-agent"}]
    forms: dict[Any, HeadForm] = {}
    for target, time, body, query, own in asked:
        headers = {b"host": b"localhost", b"x-amz-date": time, b"x-amz-target": target, b"user-agent": body}
        sent = Request(b"POST", b"/", headers, b"", body)
        expected = signer().signature(sent, query, time)
        if own is not None:
            fixed = own, *[value for name, value in headers.items() if name not in owns[own]]
            sent = in_form(sent, forms.setdefault(fixed, form_of(sent, owns[own])))
        assert known.signature(sent, query, time) == expected


@pytest.mark.parametrize("seconds", [-15 * 60, 0, 15 * 60])
def test_clocks_may_differ_by_15_minutes(
    verifier: Verifier, credential: Credential, clock: Clock, seconds: int
) -> None:
    clock.now += seconds
    assert verifier.signed(signed(credential), SERVICE)
    assert verifier.signed(presigned(credential, expires=15 * 60), SERVICE)


# Wrong: the errors about the header. Everything before the signature is checked in this order.


@pytest.mark.parametrize("authorization", [b"", b"AWS4", b"AWS3-HTTPS ...", b"Bearer x", b"Basic dTpw"])
def test_without_a_signature(verifier: Verifier, credential: Credential, authorization: bytes) -> None:
    asked = signed(credential)
    asked.headers[b"authorization"] = authorization
    assert refusal(verifier, asked) == (
        "MissingAuthenticationTokenException",
        "Request is missing Authentication Token",
    )


def test_with_two_signatures(verifier: Verifier, credential: Credential) -> None:
    asked = presigned(credential)
    asked.headers[b"authorization"] = b"X"
    assert refusal(verifier, asked) == (
        "InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    )


CREDENTIAL_MISSING = "Authorization header requires 'Credential' parameter. "
SIGNATURE_MISSING = "Authorization header requires 'Signature' parameter. "
SIGNED_HEADERS_MISSING = "Authorization header requires 'SignedHeaders' parameter. "
DATE_MISSING = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "


@pytest.mark.parametrize(
    ("authorization", "date", "text"),
    [
        ("AWS4-", None, CREDENTIAL_MISSING + SIGNATURE_MISSING + SIGNED_HEADERS_MISSING + DATE_MISSING),
        ("AWS4- Signature=b Credential=a", "a", SIGNED_HEADERS_MISSING),
        ("AWS4- Signature=b,Credential=a", "a", SIGNED_HEADERS_MISSING),
        ("AWS4- Signature=b, Credential=a", "a", SIGNED_HEADERS_MISSING),
        ("AWS4- SignedHeaders=b, Credential=a", "a", SIGNATURE_MISSING),
        ("AWS4- SignedHeaders=b, Credential=a, Signature=c", None, DATE_MISSING),
    ],
)
def test_with_parts_missing(
    verifier: Verifier, credential: Credential, authorization: str, date: str | None, text: str
) -> None:
    asked = signed(credential)
    asked.headers[b"authorization"] = authorization.encode()
    del asked.headers[b"x-amz-date"]
    if date is not None:
        asked.headers[b"date"] = date.encode()
    assert refusal(verifier, asked) == ("IncompleteSignatureException", f"{text}Authorization={authorization}")


def test_with_a_part_that_is_not_a_pair(verifier: Verifier, credential: Credential) -> None:
    asked = signed(credential)
    asked.headers[b"authorization"] = b"AWS4-HMAC-SHA256 Signature=b,    Credential,    SignedHeaders"
    assert refusal(verifier, asked) == (
        "IncompleteSignatureException",
        "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header: "
        "'AWS4-HMAC-SHA256 Signature=b,    Credential,    SignedHeaders'.",
    )


QUERY_PARTS = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"]


@pytest.mark.parametrize(
    ("query", "missing"),
    [
        ("X-Amz-Algorithm", QUERY_PARTS),
        ("X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d", ["X-Amz-SignedHeaders"]),
    ],
)
def test_presigned_with_parts_missing(verifier: Verifier, query: str, missing: list[str]) -> None:
    texts = [f"AWS query-string parameters must include '{name}'. " for name in missing]
    assert refusal(verifier, Request(b"POST", b"/?" + query.encode(), {})) == (
        "IncompleteSignatureException",
        "".join(texts) + "Re-examine the query-string parameters.",
    )


@pytest.mark.parametrize("query", ["X-Amz-Algorith", "X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-Date=d"])
def test_a_request_that_names_the_algorithm_is_presigned(verifier: Verifier, query: str) -> None:
    assert refusal(verifier, Request(b"POST", b"/?" + query.encode(), {}))[0] == "MissingAuthenticationTokenException"


@pytest.mark.parametrize("expires", [0, -1, 604801, 10**30])
def test_presigned_for_too_long(verifier: Verifier, credential: Credential, expires: int) -> None:
    assert refusal(verifier, presigned(credential, expires=expires)) == (
        "IncompleteSignatureException",
        f"X-Amz-Expires must be a number of seconds between 1 and 604800, not '{expires}'.",
    )


def test_presigned_for_more_than_an_integer_holds(verifier: Verifier, credential: Credential) -> None:
    asked = presigned(credential)
    asked.target = asked.target.replace(b"X-Amz-Expires=300", b"X-Amz-Expires=" + b"1" * 5000)
    name, text = refusal(verifier, asked)
    assert name == "IncompleteSignatureException"
    assert text.startswith("X-Amz-Expires must be a number of seconds between 1 and 604800, not '111")


@pytest.mark.parametrize("date", ["201", "2026-11-23T12:00:00Z", "20261323T120000Z", "20261123T120000", "\xff"])
def test_at_no_time(verifier: Verifier, credential: Credential, date: str) -> None:
    asked = signed(credential)
    asked.headers[b"x-amz-date"] = date.encode("latin-1")
    assert refusal(verifier, asked) == (
        "IncompleteSignatureException",
        f"Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601",
    )


@pytest.mark.parametrize("sign", [signed, lambda credential: presigned(credential, expires=15 * 60)])
def test_expired(
    verifier: Verifier, credential: Credential, clock: Clock, sign: Callable[[Credential], Request]
) -> None:
    assert verifier.signed(sign(credential), SERVICE)
    clock.now += 15 * 60 + 1
    assert refusal(verifier, sign(credential)) == (
        "InvalidSignatureException",
        "Signature expired: 20261123T120000Z is now earlier than 20261123T120001Z (20261123T121501Z - 15 min.)",
    )


@pytest.mark.parametrize("seconds", [15 * 60 + 1, -15 * 60 - 1])
def test_a_time_that_was_valid_is_checked_again(
    verifier: Verifier, credential: Credential, clock: Clock, seconds: int
) -> None:
    asked = signed(credential)
    assert verifier.signed(asked, SERVICE) == verifier.signed(asked, SERVICE)
    clock.now += seconds
    assert refusal(verifier, asked)[0] == "InvalidSignatureException"
    clock.now -= seconds
    assert verifier.signed(asked, SERVICE)


@pytest.mark.parametrize(
    ("time", "error", "text"),
    [
        (b"20261124T000000Z", "InvalidSignatureException", "Date in Credential scope does not match"),
        (b"20261123T235961Z", "InvalidSignatureException", MISMATCH),
        (b"20261123T2359", "IncompleteSignatureException", "Date must be in ISO-8601"),
        (b"", "IncompleteSignatureException", "Authorization header requires existence of either"),
    ],
)
def test_a_remembered_signer_may_sign_for_no_other_time(
    verifier: Verifier, credential: Credential, clock: Clock, time: bytes, error: str, text: str
) -> None:
    clock.now = datetime(2026, 11, 23, 23, 55, tzinfo=UTC).timestamp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: datetime(2026, 11, 23, 23, 50, tzinfo=UTC))
        asked = signed(credential)
    assert verifier.signed(asked, SERVICE)
    good = asked.headers[b"x-amz-date"]
    asked.headers[b"x-amz-date"] = time
    for _ in range(2):
        name, message = refusal(verifier, asked)
        assert name == error
        assert message.startswith(text)
    asked.headers[b"x-amz-date"] = good
    assert verifier.signed(asked, SERVICE)


def test_presigned_for_less(verifier: Verifier, credential: Credential, clock: Clock) -> None:
    clock.now += 31
    assert refusal(verifier, presigned(credential, expires=30)) == (
        "InvalidSignatureException",
        "Signature expired: 20261123T120000Z is now earlier than 20261123T120001Z (20261123T120031Z - 30 sec.)",
    )


@pytest.mark.parametrize("sign", [signed, presigned])
def test_of_the_future(
    verifier: Verifier, credential: Credential, clock: Clock, sign: Callable[[Credential], Request]
) -> None:
    clock.now -= 15 * 60 + 1
    assert refusal(verifier, sign(credential)) == (
        "InvalidSignatureException",
        "Signature not yet current: 20261123T120000Z is still later than 20261123T115959Z (20261123T114459Z + 15 min.)",
    )


@pytest.mark.parametrize(
    ("old", "new", "error", "text"),
    [
        (
            "SignedHeaders=content-type;host;",
            "SignedHeaders=content-type;",
            "InvalidSignature",
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA25",
            "IncompleteSignature",
            "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). ",
        ),
        (
            "/us-east-1/",
            "/",
            "IncompleteSignature",
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            "got 'KEY/20261123/dynamodb/aws4_request'",
        ),
        (
            "us-east-1",
            "mars-east-1",
            "InvalidSignature",
            "Credential should be scoped to a valid region, not 'mars-east-1'. ",
        ),
        ("/dynamodb/", "/s3/", "InvalidSignature", "Credential should be scoped to correct service: 'dynamodb'. "),
        (
            "aws4_request",
            "aws4_reply",
            "InvalidSignature",
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4_reply'. ",
        ),
        (
            "/20261123/",
            "/20261122/",
            "InvalidSignature",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            "'20261122' != '20261123', from '20261123T120000Z'.",
        ),
        (
            "/20261123/us-east-1/dynamodb/aws4_request",
            "/b/c/d/e",
            "InvalidSignature",
            "Credential should be scoped to a valid region, not 'c'. "
            "Credential should be scoped to correct service: 'dynamodb'. "
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. "
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            "'b' != '20261123', from '20261123T120000Z'.",
        ),
        ("KEY", "AKIAUNKNOWN", "UnrecognizedClient", f"{TOKEN_INVALID}."),
    ],
    ids=["host", "algorithm", "elements", "region", "service", "terminator", "date", "all", "key"],
)
def test_scoped_wrongly(verifier: Verifier, credential: Credential, old: str, new: str, error: str, text: str) -> None:
    asked = signed(credential)
    in_authorization(old.replace("KEY", credential.access_key).encode(), new.encode())(asked)
    assert refusal(verifier, asked) == (f"{error}Exception", text.replace("KEY", credential.access_key))


@pytest.mark.parametrize("name", ["x-amz-target", "x-amz-meta-data", "x-amz-", "x-amz-\xe9"])
@pytest.mark.parametrize("sign", [signed, presigned])
@pytest.mark.parametrize("seen_before", [False, True])
def test_headers_that_aws_gives_a_meaning_to_must_be_signed(
    verifier: Verifier,
    credential: Credential,
    name: str,
    sign: Callable[[Credential], Request],
    seen_before: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(signing.HEADERS, "X-Amz-Target")
    asked = sign(credential)
    if seen_before:
        verifier.signed(asked, SERVICE)
    asked.headers[name.encode("latin-1")] = b"DynamoDB_20120810.DeleteTable"
    text = f"'{name}' must be a 'SignedHeader' in the AWS Authorization."
    assert refusal(verifier, asked) == ("InvalidSignatureException", text)


def test_headers_of_known_heads_must_be_signed_as_others(
    verifier: Verifier, credential: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(signing.HEADERS, "X-Amz-Target")
    asked = signed(credential)
    names = tuple(asked.headers)
    for _ in range(3):
        asked.names = names
        verifier.signed(asked, SERVICE)
    asked.headers[b"x-amz-target"] = b"DynamoDB_20120810.DeleteTable"
    asked.names = (*names, b"x-amz-target")
    text = "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization."
    for _ in range(2):
        assert refusal(verifier, asked) == ("InvalidSignatureException", text)


def test_requests_with_a_known_form_are_verified_like_others(verifier: Verifier, credential: Credential) -> None:
    asked = signed(credential)
    form = form_of(asked, {b"x-amz-date", b"x-amz-target", b"authorization"})
    for _ in range(3):
        assert verifier.signed(in_form(asked, form), SERVICE).access_key == credential.access_key
    for name, code in ((b"x-amz-target", "InvalidSignatureException"), (b"authorization", "InvalidSignatureException")):
        changed = signed(credential)
        changed.headers[name] = changed.headers[name][:-1] + b"g"
        for _ in range(2):
            assert refusal(verifier, in_form(changed, form))[0] == code
        assert verifier.recognised(in_form(asked, form), SERVICE) is not None
    other = signed(credential)
    other.headers[b"host"] = b"elsewhere"
    assert refusal(verifier, in_form(other, form_of(other, {b"x-amz-date"}))) == ("InvalidSignatureException", MISMATCH)


def test_a_token_in_a_known_form_is_compared(verifier: Verifier, temporary: Credential) -> None:
    asked = signed(temporary)
    for own in (set(), {b"x-amz-security-token"}):
        assert verifier.signed(in_form(asked, form_of(asked, own)), SERVICE).session == temporary.session_token
    wrong = signed(temporary)
    wrong.headers[b"x-amz-security-token"] += b"x"
    for own in (set(), {b"x-amz-security-token"}):
        with pytest.raises(ServiceError):
            verifier.signed(in_form(wrong, form_of(wrong, own)), SERVICE)


def test_the_memory_of_a_signer_is_bounded(verifier: Verifier, credential: Credential) -> None:
    for number in range(1000):
        asked = signed(credential)
        asked.headers[b"x-%d" % number] = b"x"
        asked.headers[b"y" * (number + 1)] = b"x"
        assert verifier.signed(asked, SERVICE).access_key == credential.access_key
    [signer] = verifier._signers.values()
    assert len(signer.covered) <= 8
    assert max(sum(map(len, names)) for names in signer.covered) <= 1024


def test_long_headers_are_not_remembered(verifier: Verifier, credential: Credential) -> None:
    asked = signed(credential)
    asked.headers[b"authorization"] = asked.headers[b"authorization"].replace(b" ", b" " * 2000)
    for one in (verifier, Verifier(None, NOW.timestamp)):
        assert one.signed(asked, SERVICE).access_key == credential.access_key
        assert not one._signers
        assert not one._believed


@pytest.mark.parametrize("time", [b"20261123T120000Z" + b" " * 5000, b"2026-11-23T12:00:00Z", b"2026112T120000Z", b""])
def test_a_malformed_time_is_not_remembered(time: bytes) -> None:
    before = signature_claims._epoch.cache_info().currsize
    assert signature_claims.epoch(time) is None
    assert signature_claims._epoch.cache_info().currsize == before


def change_body(asked: Request) -> None:
    asked.body = BODY.replace(b"x", b"y")


@pytest.mark.parametrize(
    "change",
    [
        change_body,
        set_header(b"x-amz-target", b"DynamoDB_20120810.DeleteItem"),
        set_header(b"host", b"elsewhere:8000"),
        lambda asked: asked.headers.pop(b"content-type"),
        set_header(b"x-amz-date", b"20261123T120001Z"),
        lambda asked: setattr(asked, "target", b"/?a=1"),
        lambda asked: setattr(asked, "method", b"PUT"),
        in_authorization(b"Signature=", b"Signature=0"),
        lambda asked: set_header(b"authorization", asked.headers[b"authorization"][:-1])(asked),
        in_authorization(b"us-east-1", b"us-east-2"),
        in_authorization(b"content-type;", b""),
    ],
)
@pytest.mark.parametrize("seen_before", [False, True])
def test_signed_parts_may_not_change(
    verifier: Verifier, credential: Credential, change: Change, seen_before: bool
) -> None:
    asked = signed(credential)
    if seen_before:
        verifier.signed(asked, SERVICE)
    change(asked)
    assert refusal(verifier, asked) == ("InvalidSignatureException", MISMATCH)


def test_another_secret_is_refused(verifier: Verifier, credential: Credential) -> None:
    other = Credential(credential.access_key, "x" * 40)
    assert refusal(verifier, signed(other)) == ("InvalidSignatureException", MISMATCH)
    assert refusal(verifier, presigned(other)) == ("InvalidSignatureException", MISMATCH)


# Session tokens.


@pytest.fixture
def temporary(keys: Path, credential: Credential, clock: Clock) -> Credential:
    made = access_keys.create(keys, lifetime=600)
    saved = json.loads(keys.read_text())
    saved[made.access_key]["expires"] = clock.now + 600
    keys.write_text(json.dumps(saved))
    assert made.access_key.startswith("ASIA")
    return made


@pytest.mark.parametrize("sign", [signed, presigned])
def test_temporary_keys_come_with_a_token(
    verifier: Verifier, temporary: Credential, clock: Clock, sign: Callable[[Credential], Request]
) -> None:
    assert verifier.signed(sign(temporary), SERVICE).access_key == temporary.access_key
    assert verifier.signed(sign(temporary), SERVICE).access_key == temporary.access_key
    for token in (None, "another token"):
        wrong = Credential(temporary.access_key, temporary.secret, token)
        assert refusal(verifier, sign(wrong)) == ("UnrecognizedClientException", TOKEN_INVALID)


def test_a_token_may_be_added_afterwards(verifier: Verifier, temporary: Credential) -> None:
    for token, is_good in ((temporary.session_token, True), ("another token", False), (temporary.session_token, True)):
        asked = signed(Credential(temporary.access_key, temporary.secret))
        asked.headers[b"x-amz-security-token"] = str(token).encode()
        if is_good:
            assert verifier.signed(asked, SERVICE).access_key == temporary.access_key
        else:
            assert refusal(verifier, asked) == ("UnrecognizedClientException", TOKEN_INVALID)


def test_permanent_keys_come_without(verifier: Verifier, credential: Credential) -> None:
    wrong = Credential(credential.access_key, credential.secret, "a token")
    assert refusal(verifier, signed(wrong)) == ("UnrecognizedClientException", TOKEN_INVALID)


def test_temporary_keys_end(verifier: Verifier, temporary: Credential, clock: Clock) -> None:
    verifier.signed(signed(temporary), SERVICE)
    clock.now += 601
    assert refusal(verifier, signed(temporary)) == (
        "ExpiredTokenException",
        "The security token included in the request is expired",
    )


# The file of keys.


def test_keys_may_come_and_go(verifier: Verifier, credential: Credential, keys: Path, clock: Clock) -> None:
    verifier.signed(signed(credential), SERVICE)
    added = access_keys.create(keys)
    assert verifier.signed(signed(added), SERVICE).access_key == added.access_key
    assert access_keys.delete(keys, credential.access_key)
    clock.pass_time(1)
    assert refusal(verifier, signed(credential)) == ("UnrecognizedClientException", f"{TOKEN_INVALID}.")
    assert verifier.signed(signed(added), SERVICE).access_key == added.access_key


@pytest.mark.parametrize("seconds", [-3600.0, -0.5, 0.0, 3600.0])
def test_keys_expire_whatever_the_wall_clock_does(
    verifier: Verifier, credential: Credential, keys: Path, clock: Clock, seconds: float
) -> None:
    clock.now += 600
    verifier.signed(signed(credential), SERVICE)
    assert access_keys.delete(keys, credential.access_key)
    clock.now += seconds
    clock.steady_now += 1
    name, text = refusal(verifier, signed(credential))
    assert name in ("UnrecognizedClientException", "InvalidSignatureException"), text  # Or it has expired as well.
    clock.now = NOW.timestamp()
    assert refusal(verifier, signed(credential)) == ("UnrecognizedClientException", f"{TOKEN_INVALID}.")


def test_a_broken_file_changes_nothing(verifier: Verifier, credential: Credential, keys: Path, clock: Clock) -> None:
    keys.write_text("nonsense")
    clock.pass_time(1)
    assert verifier.signed(signed(credential), SERVICE).access_key == credential.access_key


# Nothing verified.


def test_without_verification_only_key_and_region_are_read(credential: Credential, clock: Clock) -> None:
    believing = Verifier(None, clock)
    for region in ("eu-west-1", "local", "eu-west-1", "US_1", "x" * 64):
        asked = signed(Credential("anybody", "any secret"), region=region, service="anything")
        in_authorization(b"Signature=", b"Signature=0")(asked)
        asked.headers[b"x-amz-date"] = b"19700101T000000Z"
        assert believing.signed(asked, SERVICE) == Signed.of("anybody", region, "anything")


# Over the wire.


def code_of(call: Callable[..., Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    code: str = refused.value.response["Error"]["Code"]
    return code


def test_a_server_that_verifies(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server(auth="on")
    assert server.client().list_tables()["TableNames"] == []
    assert server.client("dynamodb", region="eu-central-1").list_tables()["TableNames"] == []
    unknown = server.client(aws_access_key_id="AKIAUNKNOWN")
    assert code_of(unknown.list_tables) == "UnrecognizedClientException"
    assert code_of(server.client(aws_secret_access_key="wrong").list_tables) == "InvalidSignatureException"
    elsewhere = server.client(region="mars-north-1")
    assert code_of(elsewhere.list_tables) == "InvalidSignatureException"

    made = run_jedlik("credentials", "create", "--data-dir", str(tmp_path / "data"), "--lifetime", "3600")
    keys = dict(line.split(" = ") for line in made.stdout.splitlines()[1:])
    assert server.client(**keys).list_tables()["TableNames"] == []
    run_jedlik("credentials", "delete", "--data-dir", str(tmp_path / "data"), keys["aws_access_key_id"])


@pytest.mark.parametrize(
    ("header", "is_good"),
    [("X-Amzn-Trace-Id", True), ("X-Amz-Cf-Id", True), ("Via", True), ("X-Amz-Meta-Proxy", False)],
)
def test_a_proxy_may_add_headers_but_not_any(start_server: Callable[..., Server], header: str, is_good: bool) -> None:
    server = start_server(auth="on")
    client = server.client()
    client.meta.events.register(  # Behind botocore's signature.
        "before-send.dynamodb", lambda request, **_: request.headers.update({header: "x"})
    )
    for _ in range(2):
        if is_good:
            assert client.list_tables()["TableNames"] == []
        else:
            with pytest.raises(ClientError, match="'x-amz-meta-proxy' must be a 'SignedHeader' in the AWS Authoriz"):
                client.list_tables()


def test_a_presigned_request_over_the_wire(start_server: Callable[..., Server]) -> None:
    server = start_server(auth="on")
    asked = presigned(Credential(server.access_key, server.secret_key))
    headers = [b"%b: %b" % header for header in asked.headers.items() if header[0] != b"host"]
    with Wire(server.port) as wire:
        wire.send(request(BODY, *headers, target=asked.target).replace(b"Host: localhost", b"Host: localhost:8000"))
        answer = wire.receive()
    assert json.loads(answer.body)["__type"] == "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"
