"""The key of KMS that seals a table, as SSESpecification chooses it: what answers show, what is refused, and what is in
the store. `tests/process/test_closed_tables.py` has what happens when a key cannot be used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jedlik.dynamodb.model import keys, spaces
from jedlik.regions import table_keyring
from jedlik.storage.lmdb import lmdb_file
from testing.data_folders import store_in
from testing.dynamodb.definitions import create, describe, index
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.jedlik_process import Server, eventually

BY_AWS = {"Enabled": True, "SSEType": "KMS"}
DETAILS = r" \(Service: AWSKMS; Status Code: 400; Error Code: {}; Request ID: [0-9a-f-]{{36}}; Proxy: null\)"


class Asked(NamedTuple):
    """A server that seals its tables, and its clients."""

    server: Server
    client: Any
    kms: Any
    data: Path


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("keys")
    server = Server(
        folder / "log",
        holdable_jobs=True,
        data_dir=folder / "data",
        backups=folder / "backups",
        seal_tables=True,
        workers=2,
    )
    yield Asked(server, server.client(), server.client("kms"), folder / "data")
    server.kill()


def new_key(kms: Any, **settings: Any) -> str:
    arn: str = kms.create_key(**settings)["KeyMetadata"]["Arn"]
    return arn


def by(key: str) -> dict[str, Any]:
    return BY_AWS | {"KMSMasterKeyId": key}


def grants(kms: Any, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kms.list_grants(KeyId=key)["Grants"]
    return found


def fill(client: Any, table: str, start: int = 0, count: int = 40) -> None:
    for n in range(start, start + count):
        client.put_item(TableName=table, Item={"p": {"S": str(n)}, "x": {"S": "x"}, "v": {"S": f"value {n}"}})


def count_of(client: Any, table: str, **more: Any) -> int:
    count: int = client.scan(TableName=table, **more)["Count"]
    return count


def numbers(asked: Asked, table: str) -> set[int]:
    """The numbers of the keys with which a table's values are sealed: items, entries and changes."""
    table_id = keys.table_id(asked.client.describe_table(TableName=table)["Table"]["TableId"])
    found = set()
    with lmdb_file.view(store_in(asked.data)) as view:
        for space, start in ((spaces.ROWS, 0), (spaces.LOGS, 8)):
            for _, stored in view.rows(*space.of(table_id)):
                assert stored[start] == 0xE5
                found.add(int.from_bytes(stored[start + 1 : start + 3], "big"))
    return found


def test_the_key_of_a_new_table(asked: Asked) -> None:
    key = new_key(asked.kms)
    asked.kms.create_alias(AliasName="alias/songs", TargetKeyId=key)
    shown = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key}
    for given in (key, key.rpartition("/")[2], "alias/songs", key.rpartition(":")[0] + ":alias/songs"):
        name = create(asked.client, SSESpecification=by(given))
        assert describe(asked.client, name)["SSEDescription"] == shown
        asked.client.delete_table(TableName=name)
    name = create(asked.client, SSESpecification=by(key))
    [grant] = [one for one in grants(asked.kms, key) if name in str(one)]
    assert grant["GranteePrincipal"] == grant["RetiringPrincipal"] == "dynamodb.us-east-1.amazonaws.com"
    assert grant["Constraints"] == {
        "EncryptionContextSubset": {
            "aws:dynamodb:tableName": name,
            "aws:dynamodb:subscriberId": "000000000000",
        }
    }
    fill(asked.client, name)
    assert count_of(asked.client, name) == 40
    assert numbers(asked, name) == {1}


def test_the_account_s_key_and_that_of_aws(asked: Asked) -> None:
    name = create(asked.client)
    assert "SSEDescription" not in describe(asked.client, name)
    name = create(asked.client, SSESpecification={"Enabled": False})
    assert "SSEDescription" not in describe(asked.client, name)
    for specification in ({"Enabled": True}, BY_AWS, {"SSEType": "KMS"}):
        name = create(asked.client, SSESpecification=specification)
        own = asked.kms.describe_key(KeyId="alias/aws/dynamodb")["KeyMetadata"]["Arn"]
        shown = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": own}
        assert describe(asked.client, name)["SSEDescription"] == shown


def test_keys_that_cannot_be_chosen(asked: Asked) -> None:
    disabled, going = new_key(asked.kms), new_key(asked.kms)
    asked.kms.disable_key(KeyId=disabled)
    asked.kms.schedule_key_deletion(KeyId=going)
    elsewhere = asked.server.client("kms", region="eu-west-1").create_key()["KeyMetadata"]["Arn"]
    missing = disabled[:-12] + "0" * 12
    tables = asked.client.list_tables()["TableNames"]
    used = create(asked.client)
    for given, name, text in (
        (disabled, "DisabledException", f"KMS key disabled error: ...DisabledException: {disabled} is disabled."),
        (
            going,
            "KMSInvalidStateException",
            f"KMS validation error: ...KMSInvalidStateException: {going} is pending deletion.",
        ),
        (
            missing,
            "NotFoundException",
            f"KMS validation error: ...NotFoundException: Key '{missing}' does not exist",
        ),
        (
            "alias/none",
            "NotFoundException",
            "KMS validation error: ...NotFoundException: Alias "
            "arn:aws:kms:us-east-1:000000000000:alias/none is not found.",
        ),
        (elsewhere, "NotFoundException", "KMS validation error: ...NotFoundException: Invalid arn eu-west-1"),
        ("abc", "NotFoundException", "KMS validation error: ...NotFoundException: Invalid keyId 'abc'"),
    ):
        wanted = re.escape(text).replace(re.escape("..."), r"com\.amazonaws\.services\.kms\.model\.")
        for call, request in (
            (asked.client.create_table, {"TableName": "never", **_definition(by(given))}),
            (asked.client.update_table, {"TableName": used, "SSESpecification": by(given)}),
        ):
            assert re.fullmatch(wanted + DETAILS.format(name), invalid(call, **request))
    assert asked.client.list_tables()["TableNames"] == sorted([*tables, used])


def _definition(specification: dict[str, Any]) -> dict[str, Any]:
    return {
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "SSESpecification": specification,
    }


def test_a_key_is_given_back_if_the_table_is_not_made(asked: Asked) -> None:
    key = new_key(asked.kms)
    name = create(asked.client)
    code, _ = refusal(asked.client.create_table, TableName=name, **_definition(by(key)))
    assert code == "ResourceInUseException"
    used = create(asked.client, SSESpecification=by(key))
    assert len(grants(asked.kms, key)) == 1
    assert invalid(asked.client.update_table, TableName=used, SSESpecification=by(key)) == (
        f"{INVALID}Table is already encrypted with given KMSMasterKeyId. "
        "Use KMSMasterKeyId parameter if you want to change Master Key"
    )
    assert len(grants(asked.kms, key)) == 1
    asked.client.delete_table(TableName=used)
    eventually(lambda: grants(asked.kms, key) == [])


def is_enabled(client: Any, name: str, key: str) -> bool:
    shown = describe(client, name).get("SSEDescription", {})
    return (shown.get("Status"), shown.get("KMSMasterKeyArn")) == ("ENABLED", key)


def test_the_key_is_changed_while_the_table_is_used(asked: Asked) -> None:
    first, second = new_key(asked.kms), new_key(asked.kms)
    client = asked.client
    name = create(
        client,
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("p", "x")],
        GlobalSecondaryIndexes=[index("by-x", "x")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    fill(client, name)
    assert numbers(asked, name) == {0}
    with asked.server.holding("TABLE_KEY"):
        answer = client.update_table(TableName=name, SSESpecification=by(first))["TableDescription"]
        assert answer["SSEDescription"] == {"Status": "UPDATING"}
        fill(client, name, 40)
        assert numbers(asked, name) == {0, 1}
        shown = {"Status": "UPDATING", "SSEType": "KMS", "KMSMasterKeyArn": first}
        assert describe(client, name)["SSEDescription"] == shown
        assert count_of(client, name) == count_of(client, name, IndexName="by-x") == 80
    eventually(lambda: is_enabled(client, name, first))
    assert numbers(asked, name) == {1}
    client.update_table(TableName=name, SSESpecification=by(second))
    eventually(lambda: is_enabled(client, name, second))
    assert numbers(asked, name) == {2}
    eventually(lambda: grants(asked.kms, first) == [])
    assert count_of(client, name) == count_of(client, name, IndexName="by-x") == 80
    client.update_table(TableName=name, SSESpecification={"Enabled": False})
    eventually(lambda: grants(asked.kms, second) == [])
    assert "SSEDescription" not in describe(client, name)
    assert numbers(asked, name) == {3}
    assert count_of(client, name) == 80
    assert invalid(client.update_table, TableName=name, SSESpecification={"Enabled": False}) == (
        f"{INVALID}Table is already encrypted by default"
    )


def is_active(client: Any, name: str) -> bool:
    return bool(describe(client, name)["TableStatus"] == "ACTIVE")


def test_a_restored_table_has_the_key_of_its_source_or_another(asked: Asked) -> None:
    key, other = new_key(asked.kms), new_key(asked.kms)
    client = asked.client
    name = create(client, SSESpecification=by(key))
    fill(client, name)
    backup = client.create_backup(TableName=name, BackupName="last")["BackupDetails"]["BackupArn"]
    eventually(
        lambda: (
            client.describe_backup(BackupArn=backup)["BackupDescription"]["BackupDetails"]["BackupStatus"]
            == "AVAILABLE"
        )
    )
    overrides: list[tuple[dict[str, Any], str | None]] = [
        ({}, key),
        ({"SSESpecificationOverride": by(other)}, other),
        ({"SSESpecificationOverride": {}}, None),
    ]
    for number, (override, shown) in enumerate(overrides):
        target = f"{name}-{number}"
        client.restore_table_from_backup(TargetTableName=target, BackupArn=backup, **override)
        eventually(partial(is_active, client, target))
        assert describe(client, target).get("SSEDescription", {}).get("KMSMasterKeyArn") == shown
        assert count_of(client, target) == 40
        assert numbers(asked, target) == {0 if shown is None else 1}


def test_kms_opens_the_table_key_and_nothing_else_does(asked: Asked) -> None:
    key = new_key(asked.kms)
    name = create(asked.client, SSESpecification=by(key))
    fill(asked.client, name, count=3)
    table_id = keys.table_id(describe(asked.client, name)["TableId"])
    with lmdb_file.view(store_in(asked.data)) as view:
        record = view.get(table_keyring.row(table_id))
    assert record is not None
    [found] = table_keyring.parse(record).keys
    assert (found.number, found.key_arn) == (1, key)
    pairs = {"aws:dynamodb:tableName": name, "aws:dynamodb:subscriberId": "000000000000"}
    opened = asked.kms.decrypt(CiphertextBlob=found.sealed, EncryptionContext=pairs)
    assert len(opened["Plaintext"]) == 32
    with pytest.raises(asked.kms.exceptions.InvalidCiphertextException):
        asked.kms.decrypt(CiphertextBlob=found.sealed, EncryptionContext=pairs | {"aws:dynamodb:tableName": "other"})
