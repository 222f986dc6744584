"""Signing in to the console with a password: one POST, from the console's own page, that returns temporary keys."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from requests.adapters import HTTPAdapter

from testing.identities import policy
from testing.jedlik_process import Server, eventually

ACCOUNT = "000000000000"
PASSWORD, ANOTHER = "Dynamo-1861", "Soda-water-1826"
INCORRECT = {"error": "Incorrect", "message": "Your authentication information is incorrect. Please try again."}
_names = (f"user{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def verifying(start_shared_server: Callable[..., Server]) -> Server:
    return start_shared_server(auth="on", allowed_hosts="console.example")


@pytest.fixture
def user(verifying: Server) -> str:
    """A user with a password who may list tables and change the password."""
    iam, name = verifying.client("iam"), next(_names)
    iam.create_user(UserName=name)
    own = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    statements = (
        {"Effect": "Allow", "Action": "dynamodb:ListTables", "Resource": "*"},
        {"Effect": "Allow", "Action": "iam:ChangePassword", "Resource": own},
    )
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(*statements))
    iam.create_login_profile(UserName=name, Password=PASSWORD)
    return name


class From(HTTPAdapter):
    """Connects from an address of this machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> Any:
        return super().init_poolmanager(*args, **options, source_address=(self._address, 0))


_addresses = (f"127.0.1.{number}" for number in range(1, 255))


def sign_in(
    server: Server, user: str, password: str = PASSWORD, *, address: str = "", **more: str
) -> requests.Response:
    """What the console's page sends, each time from another address: failures of an address add up. `Host` and other
    headers are given by their names."""
    headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    headers |= {name.replace("_", "-"): more.pop(name) for name in list(more) if name[0].isupper()}
    body = {"user": user, "password": password, **more}
    with requests.Session() as session:
        session.mount("http://", From(address or next(_addresses)))
        return session.post(f"{server.url}/console/sign-in", headers=headers, data=json.dumps(body), timeout=60)


def client(server: Server, keys: dict[str, Any], service: str = "sts") -> Any:
    return server.client(
        service,
        aws_access_key_id=keys["accessKeyId"],
        aws_secret_access_key=keys["secretAccessKey"],
        aws_session_token=keys["sessionToken"],
    )


def lines(server: Server, message: str) -> list[dict[str, Any]]:
    return [line for line in server.log_lines() if line.get("message") == message]


def test_a_password_gives_temporary_keys_of_the_user(verifying: Server, user: str) -> None:
    before = time.time()
    answer = sign_in(verifying, user, address="127.0.0.9")
    assert answer.status_code == 200
    keys = answer.json()
    assert (keys["account"], keys["user"]) == (ACCOUNT, user)
    assert before + 43_000 < keys["expires"] < time.time() + 43_300
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert "Access-Control-Allow-Origin" not in answer.headers
    arn = f"arn:aws:iam::{ACCOUNT}:user/{user}"
    assert client(verifying, keys).get_caller_identity()["Arn"] == arn
    dynamodb = client(verifying, keys, "dynamodb")
    assert dynamodb.list_tables()["TableNames"] == []
    with pytest.raises(ClientError, match="is not authorized to perform: dynamodb:DescribeTable"):
        dynamodb.describe_table(TableName="music")
    used = verifying.client("iam").get_user(UserName=user)["User"]["PasswordLastUsed"]
    assert before - 1 <= used.timestamp() <= time.time()
    [line] = [line for line in lines(verifying, "signed in") if line["caller"] == arn]
    assert (line["issued"], line["client"], line["action"]) == (
        *(keys["accessKeyId"], "127.0.0.9"),
        "signin:ConsoleLogin",
    )
    assert line["resource"] == f"arn:aws:iam::{arn.split(':')[4]}:root"
    assert line["request_id"] == answer.headers["x-amzn-RequestId"]
    assert PASSWORD not in verifying.log.read_text()


def test_an_account_is_named_by_its_id_or_its_alias(verifying: Server, user: str) -> None:
    verifying.client("iam").create_account_alias(AccountAlias="music")
    for account in (ACCOUNT, "music", " music "):
        assert sign_in(verifying, user, account=account).json()["account"] == ACCOUNT
    verifying.client("iam").delete_account_alias(AccountAlias="music")
    for account in ("music", "123456789012", "no such", "../.."):
        answer = sign_in(verifying, user, account=account)
        assert (answer.status_code, answer.json()) == (401, INCORRECT)


def test_all_who_are_wrong_get_the_same_answer(start_server: Any) -> None:
    server = start_server(auth="on", in_memory=True)
    iam = server.client("iam")
    for name in ("with", "without"):
        iam.create_user(UserName=name)
    iam.create_login_profile(UserName="with", Password=PASSWORD)
    for name, password in (("with", ANOTHER), ("without", PASSWORD), ("nobody", PASSWORD), ("x" * 2000, PASSWORD)):
        answer = sign_in(server, name, password, address="127.0.0.9")
        assert (answer.status_code, answer.json()) == (401, INCORRECT)
    assert {line["reason"] for line in lines(server, "sign-in refused")} == {
        *("wrong password", "no such user, or no password")
    }
    assert {line.get("user") for line in lines(server, "sign-in refused")} == {"with", "without", None}
    statuses: list[int] = []
    while 429 not in statuses:  # It need not be the next but one: a second may have passed.
        answer = sign_in(server, "nobody", PASSWORD, address="127.0.0.9")
        statuses.append(answer.status_code)
        assert len(statuses) < 20
    assert set(statuses[:-1]) == {401}
    assert answer.json()["error"] == "TooManyFailures"
    assert int(answer.headers["Retry-After"]) == answer.json()["seconds"] > 0
    assert lines(server, "sign-in refused")[-1]["reason"] == "must wait"
    assert sign_in(server, "with").status_code == 200
    assert sign_in(server, "with", address="127.0.0.9").status_code in (200, 429)  # The address waits, or has waited.


def test_a_password_that_must_be_changed(verifying: Server, user: str) -> None:
    iam = verifying.client("iam")
    iam.update_login_profile(UserName=user, PasswordResetRequired=True)
    asked = sign_in(verifying, user)
    assert (asked.status_code, asked.json()["error"]) == (403, "PasswordChangeRequired")
    assert "secretAccessKey" not in asked.text
    for new in ("short", PASSWORD):
        refused = sign_in(verifying, user, newPassword=new)
        assert (refused.status_code, refused.json()["error"]) == (400, "PasswordPolicyViolation")
    assert sign_in(verifying, user, newPassword=ANOTHER).status_code == 200
    changed = [line for line in lines(verifying, "identity changed") if line.get("action") == "iam:ChangePassword"]
    assert [line["resource"] for line in changed] == [user]
    assert iam.get_login_profile(UserName=user)["LoginProfile"]["PasswordResetRequired"] is False
    assert sign_in(verifying, user, ANOTHER).status_code == 200
    assert sign_in(verifying, user).json() == INCORRECT
    iam.update_login_profile(UserName=user, PasswordResetRequired=True)
    iam.delete_user_policy(UserName=user, PolicyName="p")

    def refusal() -> dict[str, str]:
        found: dict[str, str] = sign_in(verifying, user, ANOTHER, newPassword=PASSWORD).json()
        return found

    denied = refusal()
    assert denied["error"] == "AccessDenied"
    assert (
        f"is not authorized to perform: iam:ChangePassword on resource: arn:aws:iam::{ACCOUNT}:user/{user}"
        in (denied["message"])
    )


def test_how_long_a_session_lasts(verifying: Server, user: str) -> None:
    verifying.client("iam").update_login_profile(UserName=user, MaxSigninSessionDuration=3600)
    assert sign_in(verifying, user).json()["expires"] < time.time() + 3660


def test_a_session_ends_with_its_user(verifying: Server, user: str) -> None:
    keys, iam = sign_in(verifying, user).json(), verifying.client("iam")
    iam.delete_login_profile(UserName=user)
    iam.delete_user_policy(UserName=user, PolicyName="p")
    iam.delete_user(UserName=user)

    def is_refused() -> bool:
        try:
            client(verifying, keys).get_caller_identity()
        except ClientError as error:
            return bool(error.response["Error"]["Code"] == "InvalidClientTokenId")
        return False

    eventually(is_refused)


FOREIGN = "ForeignOrigin"


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"Origin": "https://evil.example"}, FOREIGN),
        ({"Origin": "null"}, FOREIGN),
        ({"Origin": ""}, FOREIGN),
        ({"Sec_Fetch_Site": "cross-site"}, FOREIGN),
        ({"Sec_Fetch_Site": "same-site"}, FOREIGN),
        ({"Origin": "http://127.0.0.1:1"}, FOREIGN),
        ({"Origin": "http://evil.example", "Host": "evil.example"}, "UnknownHost"),
        ({"Origin": "http://127.0.0.1.evil.example:80", "Host": "127.0.0.1.evil.example:80"}, "UnknownHost"),
        ({"Content_Type": "text/plain"}, "Malformed"),
        ({"Content_Type": "application/x-www-form-urlencoded"}, "Malformed"),
    ],
)
def test_no_other_page_signs_anybody_in(verifying: Server, user: str, headers: dict[str, str], error: str) -> None:
    answer = sign_in(verifying, user, **headers)
    assert (answer.status_code, answer.json()["error"]) == (400 if error == "Malformed" else 403, error)
    assert "Access-Control-Allow-Origin" not in answer.headers
    preflight = requests.options(f"{verifying.url}/console/sign-in", timeout=60)
    assert preflight.status_code == 404


@pytest.mark.parametrize("host", ["console.example", "localhost:8000", "192.0.2.7:8000", "[2001:db8::1]:8000"])
def test_the_server_has_several_names(verifying: Server, user: str, host: str) -> None:
    for scheme in ("http", "https"):  # A proxy may speak TLS in front of it.
        assert sign_in(verifying, user, Host=host, Origin=f"{scheme}://{host}").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b'{"user": "bob"}', b'{"user": "bob", "password": 1}', b'{"user": "", "password": "x"}'),
        *(b'{"user": "bob", "password": "x", "more": "y"}', b'{"user": "bob", "password": "%s"}' % (b"x" * 5000)),
    ],
)
def test_what_is_no_sign_in(verifying: Server, body: bytes) -> None:
    headers = {"Origin": verifying.url, "Content-Type": "application/json"}
    answer = requests.post(f"{verifying.url}/console/sign-in", headers=headers, data=body, timeout=60)
    assert (answer.status_code, answer.json()["error"]) == (400, "Malformed")


def test_without_signatures_there_is_nothing_to_sign_in_to(server: Server) -> None:
    assert sign_in(server, "bob").status_code == 404
