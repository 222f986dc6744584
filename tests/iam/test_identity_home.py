"""Two servers with the same users and roles: one is their home, and the other follows it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jedlik.config import Settings, SettingsError
from jedlik.iam.identity_following import Following, HomeAway
from jedlik.iam.identity_home import IdentityHome
from jedlik.iam.identity_rows import ACCESS_KEYS, TOKEN_KEYS
from jedlik.iam.identity_stores import IdentityStores
from jedlik.root_key import RootKey, new_key
from testing.identities import policy, refusal
from testing.jedlik_process import Server, eventually, run_jedlik

ACCOUNT, OTHER = "000000000000", "222222222222"
SECRET = "0123456789abcdef0123456789abcdef"
LISTS = {"Effect": "Allow", "Action": "dynamodb:ListTables", "Resource": "*"}


def allowed(server: Server, keys: dict[str, str]) -> str:
    """What a server answers to a key: `yes`, or the error's code."""
    client = server.client(**keys)
    try:
        client.list_tables()
    except client.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])
    return "yes"


def ready(server: Server) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{server.url}/readyz", timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_what_is_changed_at_home_holds_elsewhere(start_server: Callable[..., Server], tmp_path: Path) -> None:
    peers = {"JEDLIK_PEER_SECRET": SECRET}
    home = start_server(peers, auth="on", data_dir=tmp_path / "home")
    away = start_server(peers, auth="on", data_dir=tmp_path / "away", identity_home=home.url)
    limited = start_server(
        peers, auth="on", data_dir=tmp_path / "limited", identity_home=home.url, identity_max_stale=4, workers=2
    )
    away.client().create_table(
        TableName="Table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    )
    iam = home.client("iam")
    iam.create_user(UserName="bob")
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(LISTS))
    made = iam.create_access_key(UserName="bob")["AccessKey"]
    bob = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    for server in (home, away, limited):
        eventually(lambda server=server: allowed(server, bob) == "yes")  # type: ignore[misc]
    # A session of the one is a session of the other.
    session = home.client("sts", **bob).get_session_token()["Credentials"]
    temporary = {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }
    eventually(lambda: allowed(away, temporary) == "yes")
    there = away.client("sts", **bob).get_session_token()["Credentials"]
    assert there["SessionToken"]
    # It is changed at home only.
    text = f"Users, roles and policies are changed at {home.url} alone: this server follows it"
    root = away.client("iam")
    for call, request in ((root.create_user, {"UserName": "eve"}), (root.delete_user, {"UserName": "bob"})):
        assert refusal(call, **request) == (400, "NotIdentityHome", text)
    assert [user["UserName"] for user in root.list_users()["Users"]] == ["bob"]
    # Another account, and something that is deleted.
    run_jedlik("account", "create", OTHER, "--data-dir", str(tmp_path / "home"))
    iam.delete_user_policy(UserName="bob", PolicyName="p")
    for server in (home, away):
        eventually(lambda server=server: allowed(server, bob) == "AccessDeniedException")  # type: ignore[misc]
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(LISTS))
    for server in (away, limited):
        eventually(lambda server=server: allowed(server, bob) == "yes")  # type: ignore[misc]
    assert "identity" not in ready(home)[1]
    status, document = ready(away)
    assert (status, document["identity"]["home"]) == (200, home.url)
    assert document["identity"]["age"] < 60
    # Without it the one goes on, and the other only for a while.
    home.kill()
    assert allowed(away, bob) == "yes"
    eventually(lambda: allowed(limited, bob) == "ServiceUnavailable")
    eventually(lambda: ready(limited)[0] == 503 and ready(limited)[1]["identity"]["stale"] is True)
    assert ready(away)[0] == 200
    assert allowed(away, bob) == allowed(away, temporary) == "yes"
    away.kill()
    away.restart()
    assert allowed(away, bob) == "yes"
    stats = json.loads(run_jedlik("stats", "--json", "--data-dir", str(tmp_path / "away")).stdout)
    assert stats["identity"]["home"] == home.url
    assert f"users and roles: as at {home.url}" in run_jedlik("stats", "--data-dir", str(tmp_path / "away")).stdout
    # The account's own key is in the server's file, and let in all the while.
    limited.client().list_tables()
    home.restart()
    eventually(lambda: allowed(limited, bob) == "yes")
    eventually(lambda: any(line["message"] == "identity is followed again" for line in limited.log_lines()))


def test_who_does_not_know_the_secret_gets_nothing(start_server: Callable[..., Server], tmp_path: Path) -> None:
    home = start_server({"JEDLIK_PEER_SECRET": SECRET}, auth="on", data_dir=tmp_path / "home")
    home.client("iam").create_user(UserName="bob")
    other = start_server(
        {"JEDLIK_PEER_SECRET": SECRET[::-1]}, auth="on", data_dir=tmp_path / "other", identity_home=home.url
    )
    eventually(lambda: any(line["message"].startswith("identity is not followed") for line in other.log_lines()))
    assert other.client("iam").list_users()["Users"] == []


def test_secrets_that_lie_open_at_home_do_not_come_to_a_server_with_a_root_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, identity_home="https://home:8000")
    sealed = {TOKEN_KEYS.prefix: b"{}", ACCESS_KEYS.prefix + b"AKIA": b'{"Status": "Active"}'}
    lie_open = sealed | {ACCESS_KEYS.prefix + b"AKIA": b'{"Secret": "open"}'}
    with_key = Following(IdentityStores(settings, root_key=RootKey(new_key())), SECRET)
    with_key.check_sealed(ACCOUNT, sealed)
    for rows in (lie_open, {}):
        with pytest.raises(HomeAway, match="without a root key"):
            with_key.check_sealed(ACCOUNT, rows)
        Following(IdentityStores(settings), SECRET).check_sealed(ACCOUNT, rows)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"identity_home": "example.com"}, "identity_home must be like https://host:port, not 'example.com'"),
        ({"identity_home": "http://example.com"}, "identity_home: refusing http to http://example.com"),
        ({"identity_home": "https://example.com", "auth": "on"}, "identity_home needs a peer_secret"),
        ({"identity_max_stale": 5.0}, "identity_max_stale is for a server with identity_home"),
    ],
)
def test_settings_that_make_no_sense(more: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match="^" + message.replace("?", ".")):
        Settings(**more)


def test_the_age_of_identity(tmp_path: Path) -> None:
    now = 1000.0
    settings = Settings(data_dir=tmp_path, identity_home="https://home:8000", identity_max_stale=10.0)
    home, other = (IdentityHome(settings, lambda: now) for _ in range(2))
    assert (home.age, home.is_stale) == (None, True)
    home.confirm()
    assert other.look() is True
    assert (other.age, other.is_stale, other.look()) == (0.0, False, False)
    now = 1011.0
    assert (other.look(), other.is_stale) == (True, True)
    elsewhere = IdentityHome(Settings(data_dir=tmp_path, identity_home="https://another:8000"), lambda: now)
    assert elsewhere.age is None
    assert not elsewhere.is_stale
