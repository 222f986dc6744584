"""A hunt for what tables hold through all files of a server, and through its log: under load, after kills, and after
all that keeps values elsewhere than in the table."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import zstandard
from botocore.exceptions import BotoCoreError, ClientError

from testing.dynamodb.definitions import attributes, create, index
from testing.jedlik_process import Server, children, eventually, run_jedlik

StartServer = Callable[..., Server]

TEXT = "m4rk-0f-a-value-that-nobody-may-find"
BINARY = b"\x07m4rk\xfe\xfd\xfc" * 3
NUMBER = "730581926453812794"
HUNTED = [
    TEXT.encode(),
    BINARY,
    b64encode(BINARY),
    b64encode(TEXT.encode()),
    NUMBER.encode(),
    TEXT.encode("utf-16-le"),
]
"""The marks, in the forms in which they could be written."""
LONGEST = 1 << 20
"""Bytes that are unpacked from one place, and that they become."""


def item(name: str) -> dict[str, Any]:
    """An item with a mark in each type of attribute, and in none that is a key."""
    return {
        "p": {"S": name},
        "s": {"S": "1"},
        "x": {"S": "index"},
        "text": {"S": TEXT},
        "binary": {"B": BINARY},
        "number": {"N": NUMBER},
        "map": {"M": {TEXT: {"S": TEXT}, "list": {"L": [{"N": NUMBER}, {"S": TEXT}]}}},
        "set": {"SS": [TEXT, "other"]},
        "until": {"N": "99999999999"},
    }


def packed_parts(content: bytes) -> Iterator[bytes]:
    """What can be unpacked of a file, from wherever zstandard or gzip may begin."""
    for mark, unpack in ((b"\x28\xb5\x2f\xfd", _zstandard), (b"\x1f\x8b\x08", _gzip)):
        at = content.find(mark)
        while at >= 0:
            with suppress(zstandard.ZstdError, zlib.error):
                yield unpack(content[at : at + LONGEST])
            at = content.find(mark, at + 1)


def _zstandard(content: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(content)


def _gzip(content: bytes) -> bytes:
    return zlib.decompressobj(wbits=31).decompress(content, LONGEST)


def found_in(*places: Path) -> list[tuple[str, bytes]]:
    """The files in which a mark can be read, also within what is compressed."""
    files = [path for place in places for path in (place.rglob("*") if place.is_dir() else [place]) if path.is_file()]
    found = []
    for path in files:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # It was replaced meanwhile.
        for part in (content, *packed_parts(content)):
            found += [(str(path), mark) for mark in HUNTED if mark in part]
    return found


def test_the_hunt_finds_what_lies_open(start_server: StartServer, tmp_path: Path) -> None:
    """A hunt that finds nothing anywhere would prove nothing."""
    client = start_server(seal_tables=False).client()
    make(client)
    client.put_item(TableName="hunted", Item=item("a"))
    assert {mark for _, mark in found_in(tmp_path / "data")} >= {TEXT.encode(), b64encode(BINARY), NUMBER.encode()}
    (tmp_path / "packed").write_bytes(b"before" + gzip.compress(TEXT.encode()))
    (tmp_path / "other").write_bytes(b"before" + zstandard.ZstdCompressor().compress(TEXT.encode() * 9))
    assert {Path(path).name for path, _ in found_in(tmp_path / "packed", tmp_path / "other")} == {"packed", "other"}


def make(client: Any) -> None:
    create(
        client,
        TableName="hunted",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        AttributeDefinitions=attributes(p="S", s="S", x="S"),
        GlobalSecondaryIndexes=[index("by-x", "x")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    on = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName="hunted", PointInTimeRecoverySpecification=on)
    client.update_time_to_live(TableName="hunted", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})


class Load:
    """Writes of every kind, until it is over."""

    def __init__(self, client: Any, name: str) -> None:
        self.rounds = 0
        self.trouble: Exception | None = None
        self._client = client
        self._name = name
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._round()
                self.rounds += 1
            except (BotoCoreError, ClientError) as error:  # The server was killed.
                self.trouble = error
                return

    def _round(self) -> None:
        client, name = self._client, f"{self._name} {self.rounds % 7}"
        key = {"p": {"S": name}, "s": {"S": "1"}}
        values = {":t": {"S": TEXT}, ":n": {"N": NUMBER}}
        client.put_item(TableName="hunted", Item=item(name))
        update = {"UpdateExpression": "SET more = :t, again = :n", "ExpressionAttributeValues": values}
        client.update_item(TableName="hunted", Key=key, **update)
        puts = [{"Put": {"TableName": "hunted", "Item": item(f"{name} {n}")}} for n in range(2)]
        for _ in range(2):
            client.transact_write_items(TransactItems=puts, ClientRequestToken=f"{TEXT[:20]}{name[-9:]}")
        with suppress(ClientError):
            client.put_item(
                TableName="hunted",
                Item=item(name),
                ConditionExpression="#t <> :t",
                ExpressionAttributeNames={"#t": "text"},
                ExpressionAttributeValues={":t": {"S": TEXT}},
            )
        client.execute_statement(Statement=f"UPDATE hunted SET again = '{TEXT}' WHERE p = '{name}' AND s = '1'")
        client.execute_statement(Statement='SELECT * FROM hunted WHERE "text" = ?', Parameters=[{"S": TEXT}], Limit=3)
        with suppress(ClientError):
            client.put_item(TableName="hunted", Item={"p": {"S": TEXT}, "number": {"N": f"{NUMBER}x"}})
        client.delete_item(TableName="hunted", Key=key)


def settings_with_buckets(folder: Path) -> Path:
    """Buckets are the customer's, and outside the data folder."""
    written = {"B": b64encode(BINARY).decode()}
    records = [{"Item": item(f"put {n}") | {"binary": written}} for n in range(20)]
    unmet = {
        "ConditionExpression": "attribute_exists(#t)",
        "ExpressionAttributeNames": {"#t": TEXT},
    }
    for name, more in (("import", {}), ("bulk", unmet)):
        (folder / "in" / name).mkdir(parents=True)
        broken = {"Item": {"p": {"S": "broken"}, "text": {"S": TEXT}, "number": {"N": f"{NUMBER}x"}}}
        twice = {"Item": {"p": {"S": "twice"}, "set": {"SS": [TEXT, TEXT]}}}
        lines = [json.dumps(record | more) + "\n" for record in [*records, broken, twice]]
        (folder / "in" / name / "items.json").write_text("".join(lines))
    settings = folder / "jedlik.toml"
    buckets = [f'[buckets.my-{name}]\nurl = "{(folder / name).as_uri()}"\n' for name in ("in", "out")]
    settings.write_text("".join(buckets))
    return settings


def transfers(client: Any) -> None:
    """Backups, restores, an export, an import and a bulk put."""
    arn = client.create_backup(TableName="hunted", BackupName="one")["BackupDetails"]["BackupArn"]
    eventually(lambda: _backup(client, arn) == "AVAILABLE")
    client.restore_table_from_backup(TargetTableName="from-backup", BackupArn=arn)
    eventually(lambda: _is_restorable(client))
    client.restore_table_to_point_in_time(
        SourceTableName="hunted", TargetTableName="from-archive", UseLatestRestorableTime=True
    )
    exported = client.export_table_to_point_in_time(
        TableArn=client.describe_table(TableName="hunted")["Table"]["TableArn"],
        S3Bucket="my-out",
        FilterSpecification={
            "FilterExpression": "#t = :t",
            "ExpressionAttributeNames": {"#t": "text"},
            "ExpressionAttributeValues": {":t": {"S": TEXT}},
        },
    )["ExportDescription"]["ExportArn"]
    imported = client.import_table(
        S3BucketSource={"S3Bucket": "my-in", "S3KeyPrefix": "import/"},
        InputFormat="DYNAMODB_JSON",
        TableCreationParameters={
            "TableName": "imported",
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
            "AttributeDefinitions": attributes(p="S"),
            "BillingMode": "PAY_PER_REQUEST",
        },
    )["ImportTableDescription"]["ImportArn"]
    bulk = client.start_bulk_put_items(
        TableName="hunted",
        InputS3Configuration={"S3Bucket": "my-in", "S3KeyPrefix": "bulk/", "InputFormat": "DYNAMODB_JSON"},
        OutputS3Configuration={"S3Bucket": "my-out", "OutputType": ["ERROR", "CONDITION_CHECK_FAILURE"]},
    )["BulkOperationDescription"]["BulkOperationArn"]
    over = {
        "ExportStatus": lambda: client.describe_export(ExportArn=exported)["ExportDescription"],
        "ImportStatus": lambda: client.describe_import(ImportArn=imported)["ImportTableDescription"],
        "BulkOperationStatus": lambda: client.describe_bulk_operation(BulkOperationArn=bulk)[
            "BulkOperationDescription"
        ],
    }
    for status, described in over.items():
        eventually(lambda status=status, described=described: described()[status] != "IN_PROGRESS")  # type: ignore[misc]
    for name in ("from-backup", "from-archive"):
        eventually(lambda name=name: _status(client, name) == "ACTIVE")  # type: ignore[misc]


def _backup(client: Any, arn: str) -> str:
    shown: str = client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"]
    return shown


def _status(client: Any, name: str) -> str:
    shown: str = client.describe_table(TableName=name)["Table"]["TableStatus"]
    return shown


def _is_restorable(client: Any) -> bool:
    try:
        shown = client.describe_continuous_backups(TableName="hunted")["ContinuousBackupsDescription"]
    except ClientError:
        return False
    return "LatestRestorableDateTime" in shown["PointInTimeRecoveryDescription"]


def test_no_file_and_no_log_has_what_tables_hold(start_server: StartServer, tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = start_server(
        config=settings_with_buckets(tmp_path / "buckets"),
        workers=2,
        access_log=True,
        slow_request=1e-6,
        log_level="debug",
    )
    make(server.client())
    loads = [Load(server.client(), f"writer {n}") for n in range(2)]
    eventually(lambda: all(load.rounds > 3 or load.trouble for load in loads))
    assert [load.trouble for load in loads] == [None, None]
    assert found_in(data, server.log) == []
    server.kill()
    for load in loads:
        load.end()
    assert found_in(data, server.log) == [], "the journal and what a kill has left"
    server.restart()
    load = Load(server.client(), "writer 3")
    transfers(server.client())
    assert found_in(data, server.log) == []
    load.end()
    assert load.trouble is None
    for name in ("imported", "hunted"):
        server.client().delete_table(TableName=name)
    eventually(lambda: "hunted" not in server.client().list_tables()["TableNames"])
    server.stop()
    assert found_in(data, server.log) == []
    checked = run_jedlik("check", "--data-dir", str(data))
    assert (checked.returncode, "no problems" in checked.stdout) == (0, True)
    stats = run_jedlik("stats", "--data-dir", str(data))
    assert (stats.returncode, stats.stderr) == (0, "")
    # The archive of the table that is gone is removed in the background, and its last backup stays.
    assert {path.name.split("-")[0] for path in (data / "backups").rglob("*-*") if path.is_file()} >= {"items"}


def test_no_process_of_a_server_leaves_its_memory_in_a_file(start_server: StartServer) -> None:
    server = start_server(workers=2, dax=True, dax_port=0)
    create(server.client(), TableName="songs")
    server.client().put_item(TableName="songs", Item={"p": {"S": "a"}})
    family = [server.pid]
    for pid in family:  # It grows: the workers have children, too.
        family += children(pid)
    assert len(family) >= 4
    for pid in family:
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        [core] = [line.split()[4:6] for line in limits if line.startswith("Max core file size")]
        assert core in (["1", "1"], ["0", "0"]), pid
