"""Several accounts on one server: each has regions, tables and access keys of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.data_folders import store_in
from testing.dynamodb.definitions import create
from testing.jedlik_process import Server, run_jedlik

StartServer = Callable[..., Server]

OWN = "000000000000"
ONE, OTHER = "111111111111", "222222222222"
TABLE = "songs"


def client_of(server: Server, account: str, region: str = "us-east-1", service: str = "dynamodb") -> Any:
    """A client whose access key is the id of an account."""
    return server.client(service, region, aws_access_key_id=account)


def item(text: str) -> dict[str, Any]:
    return {"p": {"S": "key"}, "text": {"S": text}}


def got(client: Any) -> dict[str, Any] | None:
    found: dict[str, Any] | None = client.get_item(TableName=TABLE, Key={"p": {"S": "key"}}).get("Item")
    return found


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call()
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def accounts_in(data: Path) -> list[str]:
    return sorted(path.name for path in (data / "accounts").iterdir() if path.is_dir())


def key_of(data: Path, account: str | None = None) -> dict[str, str]:
    """A new access key, as options of a client."""
    more = () if account is None else ("--account", account)
    made = run_jedlik("credentials", "create", "--data-dir", str(data), *more)
    assert made.returncode == 0, made.stderr
    lines = dict(line.split(" = ") for line in made.stdout.splitlines() if " = " in line)
    return {name: lines[name] for name in ("aws_access_key_id", "aws_secret_access_key")}


def account_made(data: Path, *arguments: str) -> str:
    made = run_jedlik("account", "create", "--data-dir", str(data), *arguments)
    assert (made.returncode, made.stderr) == (0, "")
    return made.stdout.splitlines()[0]


# Where nothing is verified.


def test_accounts_do_not_see_each_others_tables_even_after_kill_9(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(workers=2)
    everyone = (OWN, ONE, OTHER)
    for account in everyone:
        client = client_of(server, account)
        create(client, TableName=TABLE)
        assert (
            client.describe_table(TableName=TABLE)["Table"]["TableArn"]
            == f"arn:aws:dynamodb:us-east-1:{account}:table/{TABLE}"
        )
        client.put_item(TableName=TABLE, Item=item(account))
    create(client_of(server, ONE, "eu-west-1"), TableName="songs-of-another-region")
    for end in (server.kill, server.stop):
        for account in everyone:
            assert got(client_of(server, account)) == item(account)
            assert client_of(server, account).list_tables()["TableNames"] == [TABLE]
        assert got(server.client()) == item(OWN)  # Any other access key belongs to the server's own account.
        assert client_of(server, ONE, "eu-west-1").list_tables()["TableNames"] == ["songs-of-another-region"]
        end()
        server.restart()
    stores = sorted(str(path.parent.relative_to(tmp_path / "data")) for path in tmp_path.rglob("data.mdb"))
    assert stores == [
        f"accounts/{OWN}/regions/us-east-1",
        f"accounts/{ONE}/regions/eu-west-1",
        f"accounts/{ONE}/regions/us-east-1",
        f"accounts/{OTHER}/regions/us-east-1",
    ]


def test_the_first_write_creates_an_account(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    client = client_of(server, ONE)
    assert client.list_tables()["TableNames"] == []
    assert refusal(lambda: client.describe_table(TableName=TABLE))[0] == "ResourceNotFoundException"
    assert refusal(lambda: client.put_item(TableName=TABLE, Item=item("x")))[0] == "ResourceNotFoundException"
    assert not (tmp_path / "data" / "accounts").exists()
    create(client, TableName=TABLE)
    assert accounts_in(tmp_path / "data") == [ONE]


@pytest.mark.parametrize("key", ["11111111111", "1111111111111", "11111111111a", "１１１１１１１１１１１１"[:4]])
def test_only_twelve_digits_name_an_account(server: Server, key: str) -> None:
    identity = server.client("sts", aws_access_key_id=key.encode("ascii", "replace").decode())
    assert identity.get_caller_identity()["Account"] == OWN


def test_the_servers_own_account_has_any_name(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(account=ONE)
    create(server.client(), TableName=TABLE)
    assert client_of(server, ONE).list_tables()["TableNames"] == [TABLE]
    assert client_of(server, OWN).list_tables()["TableNames"] == []
    assert accounts_in(tmp_path / "data") == [ONE]


def test_requests_create_a_thousand_accounts_at_most(start_server: StartServer, tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / "data" / "accounts" / f"{number:012}").mkdir(parents=True)
    server = start_server()
    code, said = refusal(lambda: create(client_of(server, ONE), TableName=TABLE))
    assert (code, said) == (
        "LimitExceededException",
        "This server has 1000 accounts, and makes no more without `jedlik account create`",
    )
    create(client_of(server, f"{7:012}"), TableName=TABLE)
    assert account_made(tmp_path / "data", ONE) == ONE
    create(client_of(server, ONE), TableName=TABLE)


def test_only_served_regions_exist_in_every_account(start_server: StartServer) -> None:
    server = start_server(regions="us-east-1")
    assert client_of(server, ONE).list_tables()["TableNames"] == []
    code, said = refusal(client_of(server, ONE, "eu-west-1").list_tables)
    assert code == "InvalidSignatureException"
    assert said == "Credential should be scoped to a valid region, not 'eu-west-1'. "


def test_the_key_determines_the_account_of_the_caller(server: Server) -> None:
    said = client_of(server, ONE, service="sts").get_caller_identity()
    assert (said["Account"], said["Arn"]) == (ONE, f"arn:aws:iam::{ONE}:root")


# Where signatures are verified.


def test_a_key_belongs_to_an_account(start_server: StartServer, tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = start_server(auth="on")
    refused = run_jedlik("credentials", "create", "--data-dir", str(data), "--account", ONE)
    assert (refused.returncode, refused.stderr) == (
        2,
        f"jedlik: there is no account {ONE}: make it with `jedlik account create {ONE}`\n",
    )
    assert account_made(data, ONE) == ONE
    key = key_of(data, ONE)
    client = server.client(**key)
    assert client.list_tables()["TableNames"] == []
    create(client, TableName=TABLE)
    create(server.client(), TableName="own")
    assert client.list_tables()["TableNames"] == [TABLE]
    assert server.client().list_tables()["TableNames"] == ["own"]
    assert server.client("sts", **key).get_caller_identity()["Account"] == ONE
    info = server.client("sts").get_access_key_info
    assert info(AccessKeyId=key["aws_access_key_id"])["Account"] == ONE
    assert info(AccessKeyId=server.access_key)["Account"] == OWN
    listed = run_jedlik("credentials", "list", "--data-dir", str(data)).stdout
    assert listed.splitlines()[::2] == [server.access_key, f"{key['aws_access_key_id']} of account {ONE}"]
    assert listed.splitlines()[1].endswith(f" of account {ONE}")
    assert refusal(client_of(server, ONE).list_tables)[0] == "UnrecognizedClientException"
    assert accounts_in(data) == [OWN, ONE]


def test_a_key_of_a_missing_account_is_refused(start_server: StartServer, tmp_path: Path) -> None:
    data = tmp_path / "data"
    run_jedlik("init", "--data-dir", str(data))
    account_made(data, ONE)
    key = key_of(data, ONE)
    server = start_server(auth="on")
    for path in ((data / "accounts" / ONE / "identity" / "account.json"),):
        path.unlink()
    (data / "accounts" / ONE / "identity").rmdir()
    (data / "accounts" / ONE).rmdir()
    said = "The security token included in the request is invalid."
    assert refusal(server.client(**key).list_tables) == ("UnrecognizedClientException", said)
    assert refusal(server.client("sts", **key).get_caller_identity) == ("InvalidClientTokenId", said)
    assert accounts_in(data) == []


# Commands.


def test_accounts_are_made_and_listed(tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        ended = run_jedlik("account", *arguments, "--data-dir", str(tmp_path), JEDLIK_ACCOUNT=OWN)
        return ended.returncode, ended.stdout + ended.stderr

    run_jedlik("init", "--data-dir", str(tmp_path))
    code, said = run("create", "--alias", "music")
    drawn, profile, *key = said.splitlines()
    assert code == 0
    assert profile == "[music]"
    assert [line.split(" = ")[0] for line in key] == ["aws_access_key_id", "aws_secret_access_key"]
    assert len(drawn) == 12
    assert drawn.isdecimal()
    code, said = run("create", ONE)
    assert (code, said.splitlines()[:2]) == (0, [ONE, f"[{ONE}]"])
    assert run("create", ONE) == (2, f"jedlik: there is an account {ONE} already\n")
    assert run("create", OTHER, "--alias", "music") == (2, "jedlik: there is an account with the alias music already\n")
    store_in(tmp_path, account=OTHER).mkdir(parents=True)
    code, said = run("list")
    assert code == 0
    rows = [line.split() for line in said.splitlines()]
    assert [row[:2] for row in rows] == sorted([[OWN, "-"], [ONE, "-"], [OTHER, "-"], [drawn, "music"]])
    assert [row[3:] for row in rows if row[0] == OWN] == [["(the", "server's", "own)"]]
    assert [row[2] for row in rows if row[0] == OTHER] == ["-"]
    code, said = run("create", OTHER, "--alias", "later")
    assert (code, said.splitlines()[:2]) == (0, [OTHER, "[later]"])
    assert json.loads((tmp_path / "accounts" / OTHER / "identity" / "account.json").read_text())["Alias"] == "later"


@pytest.mark.parametrize("alias", ["", "ab", "-abc", "abc-", "a--b", "Abc", "a_b", "x" * 64, "123456789012", "abc\n"])
def test_an_alias_has_a_form(tmp_path: Path, alias: str) -> None:
    ended = run_jedlik("account", "create", "--data-dir", str(tmp_path), "--alias", alias)
    assert ended.returncode == 2
    assert "must have 3 to 63 small letters, digits and single hyphens" in ended.stderr
    assert not (tmp_path / "accounts").exists()


@pytest.mark.parametrize("account", ["1", "1234567890123", "12345678901a", "１２３４５６７８９０１２"])
def test_an_account_has_twelve_digits(tmp_path: Path, account: str) -> None:
    ended = run_jedlik("account", "create", account, "--data-dir", str(tmp_path))
    assert ended.returncode == 2
    assert f"{account!r} must be twelve digits" in ended.stderr


def test_commands_process_the_stores_of_all_accounts(start_server: StartServer, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    server = start_server()
    for account in (OWN, ONE):
        create(client_of(server, account), TableName=TABLE)
    client_of(server, ONE).get_item(TableName=TABLE, Key={"p": {"S": "key"}}, ReturnConsumedCapacity="TOTAL")
    labels = [(), ("us-east-1", f"{ONE}/us-east-1")]
    for command in ("check", "stats"):
        said = run_jedlik(command, "--data-dir", data).stdout
        assert [label for label in labels[1] if f"{label}: " in said] == list(labels[1])
        said = run_jedlik(command, "--data-dir", data, "--account", ONE).stdout
        assert {line.partition(": ")[0] for line in said.splitlines() if not line.startswith("metrics, ")} == {
            f"{ONE}/us-east-1"
        }
        ended = run_jedlik(command, "--data-dir", data, "--account", OTHER)
        assert (ended.returncode, ended.stderr) == (2, f"jedlik: there is no store of account {OTHER} in {data}\n")
    document = json.loads(run_jedlik("stats", "--json", "--data-dir", data).stdout)
    assert [(store["account"], store["region"]) for store in document["stores"]] == [
        (OWN, "us-east-1"),
        (ONE, "us-east-1"),
    ]
    server.stop()
    said = run_jedlik("compact", "--data-dir", data, JEDLIK_ACCOUNT=ONE).stdout
    assert [line.partition(":")[0] for line in said.splitlines()] == ["us-east-1", f"{OWN}/us-east-1"]
