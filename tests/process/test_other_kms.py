"""Keys of tables in another KMS with the same API: here another Jedlik, which asks for signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jedlik import other_kms
from testing import kms_settings
from testing.dynamodb.definitions import create, describe
from testing.dynamodb.refusals import refusal
from testing.identities import policy
from testing.jedlik_process import Server, eventually

StartServer = Callable[..., Server]
CLOSED = "INACCESSIBLE_ENCRYPTION_CREDENTIALS"


class Two(NamedTuple):
    """A server with keys, and one with tables."""

    keys: Server
    tables: Server
    folder: Path

    @property
    def kms(self) -> Any:
        return self.keys.client("kms")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("kms")
    keys = Server(folder / "keys.log", data_dir=folder / "keys", auth="on")
    tables = Server(
        folder / "tables.log",
        data_dir=folder / "tables",
        auth="on",
        seal_tables=True,
        workers=2,
        config=kms_settings.written(folder, keys.url, keys),
    )
    yield Two(keys, tables, folder)
    tables.kill()
    keys.kill()


def by(key: str) -> dict[str, Any]:
    return {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}


def status(client: Any, name: str) -> str:
    return str(describe(client, name)["TableStatus"])


def test_a_table_is_sealed_by_a_key_of_another_kms(two: Two) -> None:
    client = two.tables.client()
    key = two.kms.create_key()["KeyMetadata"]["Arn"]
    two.kms.create_alias(AliasName="alias/songs", TargetKeyId=key)
    name = create(client, SSESpecification=by("alias/songs"))
    shown = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key}
    assert describe(client, name)["SSEDescription"] == shown
    item = {"p": {"S": "a"}, "note": {"S": "what nobody may find"}}
    client.put_item(TableName=name, Item=item)
    two.tables.kill()
    two.tables.restart()
    client = two.tables.client()
    assert client.get_item(TableName=name, Key={"p": {"S": "a"}})["Item"] == item
    assert b"what nobody may find" not in b"".join(
        path.read_bytes() for path in (two.folder / "tables").rglob("*") if path.is_file()
    )
    other = create(client, SSESpecification={"Enabled": True})
    own = two.tables.client("kms").describe_key(KeyId="alias/aws/dynamodb")["KeyMetadata"]["Arn"]
    assert describe(client, other)["SSEDescription"]["KMSMasterKeyArn"] == own, "DynamoDB's own key is here"


def test_its_backups_open_with_that_key(two: Two) -> None:
    client = two.tables.client()
    key = two.kms.create_key()["KeyMetadata"]["Arn"]
    name = create(client, SSESpecification=by(key))
    client.put_item(TableName=name, Item={"p": {"S": "a"}})
    arn = client.create_backup(TableName=name, BackupName="one")["BackupDetails"]["BackupArn"]

    def is_made() -> bool:
        shown = client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]
        return bool(shown["BackupStatus"] == "AVAILABLE")

    eventually(is_made)
    client.delete_table(TableName=name)
    two.kms.disable_key(KeyId=key)
    wanted: dict[str, Any] = {"TargetTableName": f"{name}-again", "BackupArn": arn}
    wanted |= {"SSESpecificationOverride": {"Enabled": False}}
    code, message = refusal(client.restore_table_from_backup, **wanted)
    assert (code, "KMS key disabled error" in message) == ("ValidationException", True)
    two.kms.enable_key(KeyId=key)
    client.restore_table_from_backup(**wanted)
    eventually(lambda: status(client, wanted["TargetTableName"]) == "ACTIVE")
    assert client.scan(TableName=wanted["TargetTableName"])["Items"] == [{"p": {"S": "a"}}]


def test_what_the_other_kms_refuses(two: Two) -> None:
    client = two.tables.client()
    key = two.kms.create_key()["KeyMetadata"]["Arn"]
    two.kms.disable_key(KeyId=key)
    for given, wanted in (
        (key, f"KMS key disabled error: com.amazonaws.services.kms.model.DisabledException: {key} is disabled."),
        ("alias/none", "KMS validation error: com.amazonaws.services.kms.model.NotFoundException: Alias "),
    ):
        used = create(client)
        code, text = refusal(client.update_table, TableName=used, SSESpecification=by(given))
        assert code == "ValidationException"
        assert text.startswith(wanted)


def user(two: Two, name: str, *actions: str) -> Any:
    iam = two.tables.client("iam")
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(statement))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return two.tables.client(aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"])


def test_who_chooses_a_key_of_the_other_kms_needs_permissions_here(two: Two) -> None:
    key = two.kms.create_key()["KeyMetadata"]["Arn"]
    client = user(two, "stranger", "dynamodb:*")
    code, text = refusal(client.create_table, TableName="never", **_definition(by(key)))
    assert code == "AccessDeniedException"
    assert "not authorized to perform: kms:DescribeKey" in text
    create(user(two, "owner", "dynamodb:*", "kms:*"), SSESpecification=by(key))


def test_a_table_goes_on_while_the_other_kms_is_away(two: Two) -> None:
    client = two.tables.client()
    key = two.kms.create_key()["KeyMetadata"]["Arn"]
    name = create(client, SSESpecification=by(key))
    for _ in range(10):  # By way of both workers.
        two.tables.client().put_item(TableName=name, Item={"p": {"S": "a"}})
    two.keys.kill()
    assert client.get_item(TableName=name, Key={"p": {"S": "a"}})["Item"] == {"p": {"S": "a"}}
    client.put_item(TableName=name, Item={"p": {"S": "b"}})
    code, text = refusal(client.create_table, TableName="never", **_definition(by(key)))
    assert (code, text) == ("InternalServerError", "KMS internal error: KMS does not answer")
    assert status(client, name) == "ACTIVE"
    two.keys.restart()
    eventually(lambda: bool(two.kms.describe_key(KeyId=key)))
    assert client.scan(TableName=name)["Count"] == 2


def test_a_key_that_is_disabled_elsewhere_is_found_out(two: Two) -> None:
    key = two.kms.create_key()["KeyMetadata"]["Arn"]
    name = create(two.tables.client(), SSESpecification=by(key))
    two.tables.client().put_item(TableName=name, Item={"p": {"S": "a"}})
    two.kms.disable_key(KeyId=key)
    two.tables.kill()
    two.tables.restart()  # It asks at once, and else within half a minute.
    client = two.tables.client()
    eventually(lambda: status(client, name) == CLOSED)
    assert refusal(client.get_item, TableName=name, Key={"p": {"S": "a"}})[0] == "ValidationException"


def _definition(specification: dict[str, Any]) -> dict[str, Any]:
    return {
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "SSESpecification": specification,
    }


NEEDED = {"endpoint": "https://kms.example", "access_key_id": "a", "secret_access_key": "b"}


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({**NEEDED, "endpoint": "ftp://kms.example"}, "endpoint must be like https://host:port"),
        ({**NEEDED, "endpoint": "http://kms.example"}, "refusing http"),
        ({**NEEDED, "key": "x"}, "no such setting: key"),
        ({"endpoint": "https://kms.example"}, "access_key_id is missing"),
        ("https://kms.example", "a table of strings"),
    ],
)
def test_settings_that_are_refused(table: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        other_kms.of_table(table, lambda host: False)


def test_the_settings_of_another_kms() -> None:
    found = other_kms.of_table({**NEEDED, "endpoint": "http://localhost:1", "region": "eu-west-1"}, lambda host: True)
    assert (found.region, found.session_token) == ("eu-west-1", None)
    assert "secret" not in repr(found)
