"""Backups and archives of sealed stores: what is in their objects, what opens them, and for how long."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jedlik.dynamodb.backups import piece_keys, pieces
from jedlik.dynamodb.backups.piece_keys import PieceKeys, SealedPiece
from jedlik.dynamodb.backups.pieces import PieceKey, PieceRows, Rows
from jedlik.regions import root_key_record
from jedlik.root_key import RootKey
from jedlik.storage.object_store import ObjectStore
from testing.dynamodb.definitions import attributes, key_schema
from testing.jedlik_process import Server, eventually, run_jedlik

StartServer = Callable[..., Server]

ITEMS = [{"p": {"S": f"{number}"}, "note": {"S": f"nobody may read {number}"}} for number in range(30)]
KEY = PieceKey(7, b"k" * 32)


def test_a_sealed_piece_opens_with_its_key_in_its_place_as_it_was_packed() -> None:
    rows = [(b"k%d" % number, b"\1nobody may read" * number) for number in range(100)]
    content = pieces.packed(Rows.ITEMS, rows, KEY, "folder/items-00000000").content
    assert pieces.key_number(content) == 7
    kind, found = pieces.unpacked(content, KEY.key, "folder/items-00000000")
    assert (kind, list(found)) == (Rows.ITEMS, rows)
    for key, place in ((b"x" * 32, "folder/items-00000000"), (KEY.key, "folder/items-00000001"), (None, "")):
        with pytest.raises(pieces.DamagedPiece, match=r"cannot be opened|which is not here"):
            pieces.unpacked(content, key, place)
    for at in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[at] ^= 4
        with pytest.raises(pieces.DamagedPiece):
            pieces.unpacked(bytes(damaged), KEY.key, "folder/items-00000000")


def test_two_pieces_of_the_same_rows_have_nothing_in_common() -> None:
    rows = [(b"k", b"\1same")]
    first, second = (pieces.packed(Rows.ITEMS, rows, KEY, "place").content for _ in range(2))
    assert first[:28] == second[:28], "the head"
    assert first[28:] != second[28:]


def make(client: Any) -> None:
    client.create_table(
        TableName="source",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S"),
    )
    on = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName="source", PointInTimeRecoverySpecification=on)
    for item in ITEMS:
        client.put_item(TableName="source", Item=item)


def backed_up(client: Any) -> str:
    arn: str = client.create_backup(TableName="source", BackupName="one")["BackupDetails"]["BackupArn"]
    eventually(lambda: status(client, arn) == "AVAILABLE")
    return arn


def status(client: Any, arn: str) -> str:
    shown: str = client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"]
    return shown


def is_there(client: Any, name: str) -> bool:
    shown: list[str] = client.list_tables()["TableNames"]
    return name in shown


def held(client: Any, name: str) -> list[dict[str, Any]]:
    """The items of a table that is being restored, once it is open."""
    eventually(lambda: client.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE")
    return sorted(client.scan(TableName=name)["Items"], key=lambda item: int(item["p"]["S"]))


def restored(client: Any, arn: str, name: str, **more: Any) -> list[dict[str, Any]]:
    client.restore_table_from_backup(TargetTableName=name, BackupArn=arn, **more)
    return held(client, name)


def pieces_in(place: Path) -> list[Path]:
    return [path for path in place.rglob("*-*") if path.is_file() and path.name.split("-")[0] in KINDS]


KINDS = {"items", "changes", "segment"}


def verify(*words: str) -> tuple[int, str]:
    """The exit code, and what is printed of a backup behind its ARN."""
    done = run_jedlik("backups", "verify", *words)
    return done.returncode, done.stdout.partition(": ")[2].strip()


def test_backups_and_archives_are_sealed_and_outlive_their_table_and_root_keys(
    start_server: StartServer, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    server = start_server(seal_tables=True)
    client = server.client()
    make(client)
    arn = backed_up(client)
    before = client.describe_continuous_backups(TableName="source")
    assert before["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    client.restore_table_to_point_in_time(
        SourceTableName="source", TargetTableName="at-once", UseLatestRestorableTime=True
    )
    held(client, "at-once")
    eventually(lambda: {path.name.split("-")[0] for path in pieces_in(data / "backups")} >= {"items", "segment"})
    assert all(pieces.key_number(path.read_bytes()) for path in pieces_in(data / "backups"))
    assert run_jedlik("root-key", "rotate", "--data-dir", str(data)).returncode == 0
    assert restored(client, arn, "after-a-rotation") == ITEMS
    there = server.client(region="eu-west-1")
    assert restored(there, arn, "in-another-region", SSESpecificationOverride={"Enabled": False}) == ITEMS
    client.delete_table(TableName="source")
    eventually(lambda: not is_there(client, "source"))
    [last] = client.list_backups(BackupType="SYSTEM")["BackupSummaries"]
    server.kill()
    for _ in range(2):
        rotated = run_jedlik("root-key", "rotate", "--data-dir", str(data))
        assert rotated.returncode == 0, rotated.stderr
    assert verify("--data-dir", str(data), arn) == (0, "1 pieces are what was written")
    server.restart()
    client = server.client()
    assert restored(client, arn, "user") == ITEMS
    assert restored(client, last["BackupArn"], "system") == ITEMS
    # A copy of the folder restores, too: it has the store's key.
    server.stop()
    copy = tmp_path / "copy"
    assert run_jedlik("copy", str(copy), "--data-dir", str(data)).returncode == 0
    shutil.copy(f"{data}.root-key", f"{copy}.root-key")
    shutil.rmtree(data / "backups" / "keys")
    elsewhere = start_server(data_dir=copy, backups=data / "backups").client()
    assert restored(elsewhere, arn, "elsewhere") == ITEMS


def test_backups_of_another_store_open_with_the_root_key_or_name_what_is_missing(
    start_server: StartServer, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    server = start_server(seal_tables=True)
    client = server.client()
    make(client)
    arn = backed_up(client)
    server.stop()
    place = ObjectStore((data / "backups").as_uri(), {})
    settings = server_settings(data)
    root = RootKey(settings.current, settings.former)
    kept = [str(path.relative_to(data / "backups")) for path in pieces_in(data / "backups")]
    [name] = [name for name in kept if arn.rpartition("/")[2] in name]

    def rows(keys: PieceKeys) -> PieceRows:
        return asyncio.run(keys.rows(place, name))[2]

    assert len(rows(PieceKeys(root))) == len(ITEMS)
    for other, reason in ((RootKey(), "there is no root key"), (RootKey(b"o" * 32), "under the root key .* not here")):
        with pytest.raises(SealedPiece, match=reason):
            rows(PieceKeys(other))
    # Without the root key the checksums are checked, and nothing more.
    printed = verify("--backups", str(data / "backups"), "--data-dir", str(tmp_path / "nothing"), arn)
    assert printed == (0, "1 pieces are what was written; 1 are sealed, and were not opened")
    [copy] = [path for path in (data / "backups" / piece_keys.FOLDER).rglob("*") if path.is_file()]
    copy.unlink()
    with pytest.raises(SealedPiece, match=f"copy keys/000000000000/us-east-1/{copy.name} is gone"):
        rows(PieceKeys(root))
    code, line = verify("--data-dir", str(data), arn)
    assert (code, line.endswith("is gone")) == (1, True)
    assert len(rows(PieceKeys(root, own_key(data, root)))) == len(ITEMS), "the store itself needs no copy"


def server_settings(data: Path) -> root_key_record.Found:
    from jedlik.config import Settings

    found = root_key_record.found(Settings(data_dir=data), may_make=False)
    assert found is not None
    return found


def own_key(data: Path, root: RootKey) -> PieceKey:
    """The key of the pieces of the store in a data folder."""
    from jedlik.regions import store_keys
    from jedlik.storage.lmdb import lmdb_file
    from testing.data_folders import store_in

    store = store_in(data)
    with lmdb_file.view(store) as view:
        record = store_keys.parsed(view.get(store_keys.KEYSPACE.prefix) or b"", store)
    opening = store_keys.Opening(store, "000000000000", "us-east-1", store_keys.Seals(root))
    return piece_keys.numbered(store_keys.piece_key(record, opening))


def test_pieces_from_before_a_store_was_sealed_still_read(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(seal_tables=False)
    client = server.client()
    make(client)
    arn = backed_up(client)
    place = tmp_path / "data" / "backups"
    assert not any(pieces.key_number(path.read_bytes()) for path in pieces_in(place))
    assert not (place / piece_keys.FOLDER).exists()
    server.stop()
    client = start_server(seal_tables=True).client()
    assert restored(client, arn, "target") == ITEMS
    sealed = backed_up(client).rpartition("/")[2]
    assert all(pieces.key_number(path.read_bytes()) for path in pieces_in(place) if sealed in str(path))


def test_recovery_is_described_without_the_key_of_its_table(start_server: StartServer) -> None:
    server = start_server(seal_tables=True)
    client, kms = server.client(), server.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    client.create_table(
        TableName="source",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S"),
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )
    on = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName="source", PointInTimeRecoverySpecification=on)
    client.put_item(TableName="source", Item={"p": {"S": "a"}})
    kms.disable_key(KeyId=key)
    server.restart()  # No worker has opened the key, and none can.
    found = server.client().describe_continuous_backups(TableName="source")["ContinuousBackupsDescription"]
    assert found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
