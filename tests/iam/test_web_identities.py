"""Roles that are assumed with tokens of an issuer, on a server that verifies signatures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import rsa

from jedlik.iam.attempts import Attempts
from jedlik.iam.issuer_documents import is_public
from testing.identities import policy, refusal
from testing.jedlik_process import Server
from testing.raw_http import Wire
from testing.raw_http import request as raw_request
from testing.token_issuer import Issuer, issuing, write_certificate

ACCOUNT = "000000000000"
KEY = {"k": {"S": "x"}}
_names = iter(f"role{number}" for number in range(1000))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def issuers() -> Iterator[ExitStack]:
    """All issuers stay until the end, so that none gets the port, and with it the name, of an earlier one."""
    with ExitStack() as running:
        yield running


@pytest.fixture
def issuer(certificate: Path, issuers: ExitStack) -> Issuer:
    """One of its own for each test, so nothing is known of it."""
    return issuers.enter_context(issuing(certificate))


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server], certificate: Path) -> Server:
    running = start_shared_server(
        {"SSL_CERT_FILE": str(certificate)}, auth="on", in_memory=True, oidc_hosts="localhost"
    )
    running.client().create_table(
        TableName="Table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    )
    return running


@pytest.fixture
def sts(server: Server) -> Any:
    """A client without any key."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, parameter_validation=False)
    return boto3.client("sts", region_name="us-east-1", endpoint_url=server.url, config=config)


def registered(server: Server, issuer: Issuer, *clients: str) -> str:
    """Register an issuer: the provider's ARN."""
    arn = server.client("iam").create_open_id_connect_provider(
        Url=issuer.url, ClientIDList=list(clients or ("sts",)), ThumbprintList=["a" * 40]
    )["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:oidc-provider/localhost:{issuer.port}"
    return str(arn)


def role(server: Server, provider: str, condition: dict[str, Any] | None = None, *actions: str) -> str:
    """A role that may read the table, and be assumed with tokens of a provider."""
    name, iam = next(_names), server.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": ["sts:AssumeRoleWithWebIdentity", *actions],
        "Condition": condition or {},
    }
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    reads = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(reads))
    return str(arn)


def asked(arn: str, token: str, **more: Any) -> dict[str, Any]:
    return {"RoleArn": arn, "RoleSessionName": "app", "WebIdentityToken": token, **more}


def test_a_role_that_is_assumed_with_a_token(server: Server, issuer: Issuer, sts: Any) -> None:
    name = f"localhost:{issuer.port}"
    condition = {"StringEquals": {f"{name}:aud": "sts"}, "StringLike": {f"{name}:sub": "pod-*"}}
    arn = role(server, registered(server, issuer), condition)
    answer = sts.assume_role_with_web_identity(**asked(arn, issuer.token()))
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{arn.rpartition('/')[2]}/app"
    assert answer["AssumedRoleUser"]["Arn"] == session
    assert answer["SubjectFromWebIdentityToken"] == "pod-1"
    assert (answer["Provider"], answer["Audience"]) == (issuer.url, "sts")
    left = answer["Credentials"]["Expiration"].timestamp() - time.time()
    assert 3500 < left <= 3600
    found = answer["Credentials"]
    client = server.client(
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )
    assert "Item" not in client.get_item(TableName="Table", Key=KEY)
    assert refusal(client.put_item, TableName="Table", Item=KEY)[1] == "AccessDeniedException"
    # The keys are kept, and one that the issuer has changed to is found later.
    sts.assume_role_with_web_identity(**asked(arn, issuer.token()))
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]
    refused = (403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    other = issuer.token(sub="another")
    assert refusal(sts.assume_role_with_web_identity, **asked(arn, other)) == refused
    assert refusal(sts.assume_role_with_web_identity, **asked(arn + "x", issuer.token())) == refused
    too_long = refusal(sts.assume_role_with_web_identity, **asked(arn, issuer.token(), DurationSeconds=7200))
    assert too_long[1] == "ValidationError"


def test_an_elliptic_key_and_the_file_that_sdks_read(
    server: Server, issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a pod: the role, and a token in a file."""
    issuer.use_elliptic_key("two")
    arn = role(server, registered(server, issuer))
    (tmp_path / "token").write_text(issuer.token())
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ROLE_ARN", arn)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    client = boto3.Session(region_name="us-east-1").client("dynamodb")
    assert "Item" not in client.get_item(TableName="Table", Key=KEY)


def test_tags_and_source_identity_of_a_token(server: Server, issuer: Issuer, sts: Any) -> None:
    claims: dict[str, Any] = {
        "https://aws.amazon.com/tags": {"principal_tags": {"team": ["red"]}, "transitive_tag_keys": ["team"]},
        "https://aws.amazon.com/source_identity": "ann",
    }
    provider = registered(server, issuer)
    plain = role(server, provider)
    refused = refusal(sts.assume_role_with_web_identity, **asked(plain, issuer.token(**claims)))
    assert refused == (403, "AccessDenied", "Not authorized to perform sts:TagSession")
    arn = role(
        server, provider, {"StringEquals": {"aws:RequestTag/team": "red"}}, "sts:TagSession", "sts:SetSourceIdentity"
    )
    answer = sts.assume_role_with_web_identity(**asked(arn, issuer.token(**claims)))
    assert answer["SourceIdentity"] == "ann"
    name = arn.rpartition("/")[2]
    condition = {
        "StringEquals": {
            "aws:PrincipalTag/team": "red",
            "aws:SourceIdentity": "ann",
            "aws:FederatedProvider": provider,
        }
    }
    statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*", "Condition": condition}
    server.client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(statement))
    found = answer["Credentials"]
    client = server.client(
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )
    client.get_item(TableName="Table", Key=KEY)


def test_the_authorized_party_of_a_token(server: Server, issuer: Issuer, sts: Any) -> None:
    name = f"localhost:{issuer.port}"
    condition = {"StringEquals": {f"{name}:aud": "app", f"{name}:oaud": "api"}}
    arn = role(server, registered(server, issuer, "app"), condition)
    assert sts.assume_role_with_web_identity(**asked(arn, issuer.token(aud="api", azp="app")))["Audience"] == "app"
    wrong = refusal(sts.assume_role_with_web_identity, **asked(arn, issuer.token(aud="app", azp="other")))
    assert wrong == (400, "InvalidIdentityToken", "Incorrect token audience")


def test_tokens_that_are_refused(server: Server, issuer: Issuer, sts: Any) -> None:
    arn = role(server, registered(server, issuer))
    stranger = rsa.generate_private_key(65537, 2048)
    weak = rsa.generate_private_key(65537, 1024)
    now = int(time.time())
    not_a_token = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
    elsewhere = "No OpenIDConnect provider found in your account for https://example.com"
    cases: list[tuple[str, str, str]] = [
        ("not-a-token", "InvalidIdentityToken", not_a_token),
        (issuer.token(iss="https://example.com"), "InvalidIdentityToken", elsewhere),
        (issuer.token(iss=None), "InvalidIdentityToken", "Issuer must be a valid URL"),
        (issuer.token(iss=issuer.url.upper()), "InvalidIdentityToken", ""),
        (issuer.token(key=stranger), "InvalidIdentityToken", "The token's signature is not its issuer's"),
        (issuer.token(key=weak), "InvalidIdentityToken", "The token's signature is not its issuer's"),
        (issuer.token(headers={"kid": "nine"}), "InvalidIdentityToken", ""),
        (issuer.token(aud="other"), "InvalidIdentityToken", "Incorrect token audience"),
        (issuer.token(aud=None), "InvalidIdentityToken", "Incorrect token audience"),
        (issuer.token(sub=None), "InvalidIdentityToken", "Missing a required claim: sub"),
        (issuer.token(exp=None), "InvalidIdentityToken", "Missing a required claim: exp"),
        (issuer.token(iat=now + 3600), "InvalidIdentityToken", ""),
        (issuer.token(exp=now - 1), "ExpiredTokenException", ""),
    ]
    for token, code, text in cases:
        status, found_code, found_text = refusal(sts.assume_role_with_web_identity, **asked(arn, token))
        assert (status, found_code) == (400, code), found_text
        assert found_text == text or not text
    unsigned = issuer.token().rpartition(".")[0] + "."
    assert refusal(sts.assume_role_with_web_identity, **asked(arn, unsigned))[1] == "InvalidIdentityToken"
    refused = [line for line in server.log_lines() if line["message"] == "web identity refused" and line["role"] == arn]
    assert {line["error"] for line in refused} == {"InvalidIdentityTokenException", "ExpiredTokenException"}
    more = refusal(sts.assume_role_with_web_identity, **asked(arn, issuer.token(), ProviderId="www.amazon.com"))
    assert more == (400, "ValidationError", "Jedlik does not support ProviderId")


@pytest.mark.parametrize(
    ("path", "page", "code"),
    [
        ("/.well-known/openid-configuration", (302, b"/elsewhere"), "IDPCommunicationError"),
        ("/.well-known/openid-configuration", (500, b""), "IDPCommunicationError"),
        ("/.well-known/openid-configuration", (200, b"no JSON"), "InvalidIdentityToken"),
        ("/.well-known/openid-configuration", (200, b'{"issuer": "https://example.com"}'), "InvalidIdentityToken"),
        ("/.well-known/openid-configuration", (200, b" " * (1 << 20) + b"{}"), "InvalidIdentityToken"),
        ("/keys", (200, b"[]"), "InvalidIdentityToken"),
        ("/keys", (200, b'{"keys": [1]}'), "InvalidIdentityToken"),
    ],
)
def test_issuers_that_do_not_answer_as_they_must(
    server: Server, issuer: Issuer, sts: Any, path: str, page: tuple[int, bytes], code: str
) -> None:
    arn = role(server, registered(server, issuer))
    issuer.pages[path] = page
    assert refusal(sts.assume_role_with_web_identity, **asked(arn, issuer.token()))[:2] == (400, code)
    # It is not asked again at once.
    requests = list(issuer.asked)
    assert refusal(sts.assume_role_with_web_identity, **asked(arn, issuer.token()))[:2] == (400, code)
    assert issuer.asked == requests


def test_keys_in_a_private_network(server: Server, issuer: Issuer, sts: Any) -> None:
    """`localhost` is allowed by the setting, its address is not."""
    arn = role(server, registered(server, issuer))
    document = b'{"issuer": "%s", "jwks_uri": "https://127.0.0.1:%d/keys"}' % (issuer.url.encode(), issuer.port)
    issuer.pages["/.well-known/openid-configuration"] = (200, document)
    refused = refusal(sts.assume_role_with_web_identity, **asked(arn, issuer.token()))
    assert refused[1] == "IDPCommunicationError"
    assert "127.0.0.1 is not a public address" in refused[2]
    assert "/keys" not in issuer.asked


def test_what_needs_a_signature_still_does(server: Server, sts: Any) -> None:
    for call in (sts.get_caller_identity, sts.get_session_token):
        assert refusal(call)[1] == "MissingAuthenticationToken"
    twice = b"Action=AssumeRoleWithWebIdentity&Action=GetSessionToken&Version=2011-06-15"
    with Wire(server.port) as wire:
        wire.send(raw_request(twice, b"Content-Type: application/x-www-form-urlencoded"))
        answer = wire.receive()
    assert answer.status in (400, 403)
    assert b"SessionToken>" not in answer.body


def test_addresses_of_the_internet() -> None:
    public = ("8.8.8.8", "2001:4860:4860::8888")
    others = (
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "x",
    )
    assert [address for address in (*public, *others) if is_public(address)] == list(public)


def test_attempts_are_limited_by_address() -> None:
    now = 0.0
    attempts = Attempts(2, 1.0, lambda: now)
    assert [attempts.try_take("a") for _ in range(3)] == [True, True, False]
    assert attempts.try_take("b")
    now = 1.0
    assert [attempts.try_take("a") for _ in range(2)] == [True, False]


# Providers


def test_a_provider_from_first_to_last(iam: Any, account: str) -> None:
    """As Terraform makes, changes and destroys it."""
    tag = {"Key": "team", "Value": "red"}
    made = iam.create_open_id_connect_provider(
        Url="https://example.com/a/", ClientIDList=["one"], ThumbprintList=["A" * 40], Tags=[tag]
    )
    arn = made["OpenIDConnectProviderArn"]
    assert (arn, made["Tags"]) == (f"arn:aws:iam::{account}:oidc-provider/example.com/a", [tag])
    again = refusal(iam.create_open_id_connect_provider, Url="https://example.com/a")
    assert again == (409, "EntityAlreadyExists", "Provider with url https://example.com/a already exists.")
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (found["Url"], found["ClientIDList"], found["ThumbprintList"]) == ("example.com/a", ["one"], ["a" * 40])
    which = {"OpenIDConnectProviderArn": arn}
    for _ in range(2):
        iam.add_client_id_to_open_id_connect_provider(**which, ClientID="two")
    iam.remove_client_id_from_open_id_connect_provider(**which, ClientID="one")
    iam.remove_client_id_from_open_id_connect_provider(**which, ClientID="none")
    iam.update_open_id_connect_provider_thumbprint(**which, ThumbprintList=["b" * 40, "c" * 40])
    iam.tag_open_id_connect_provider(**which, Tags=[{"Key": "Team", "Value": "blue"}, {"Key": "x", "Value": "y"}])
    iam.untag_open_id_connect_provider(**which, TagKeys=["X"])
    found = iam.get_open_id_connect_provider(**which)
    assert (found["ClientIDList"], found["ThumbprintList"]) == (["two"], ["b" * 40, "c" * 40])
    assert (
        found["Tags"] == iam.list_open_id_connect_provider_tags(**which)["Tags"] == [{"Key": "Team", "Value": "blue"}]
    )
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == [{"Arn": arn}]
    assert iam.get_account_summary()["SummaryMap"]["Providers"] == 1
    for _ in range(2):
        iam.delete_open_id_connect_provider(**which)
    missing = refusal(iam.get_open_id_connect_provider, **which)
    assert missing == (404, "NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}")
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"Url": "http://example.com"}, "ValidationError"),
        ({"Url": "https://"}, "ValidationError"),
        ({"Url": "https://example.com/?a=1"}, "ValidationError"),
        ({"Url": "https://user@example.com"}, "ValidationError"),
        ({"ThumbprintList": ["x" * 40]}, "InvalidInput"),
        ({"ThumbprintList": ["a" * 40] * 6}, "InvalidInput"),
        ({"ClientIDList": [str(number) for number in range(101)]}, "LimitExceeded"),
        ({"IdentityCenterInstanceArn": "arn:aws:sso:::instance/x"}, "InvalidInput"),
    ],
)
def test_what_is_no_provider(iam: Any, more: dict[str, Any], code: str) -> None:
    assert refusal(iam.create_open_id_connect_provider, **({"Url": "https://example.com"} | more))[1] == code
