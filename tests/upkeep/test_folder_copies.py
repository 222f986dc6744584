"""`jedlik copy`: a data folder is copied beside a running server, and a server goes on with the copy."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from jedlik.upkeep import folder_copies
from testing.dynamodb.definitions import attributes, key_schema
from testing.jedlik_process import Server, eventually, run_jedlik

TABLE = {
    "TableName": "counted",
    "KeySchema": key_schema("p", "s"),
    "AttributeDefinitions": attributes(p="S", s="N"),
    "BillingMode": "PAY_PER_REQUEST",
}


def test_a_file_that_is_written_in_parts_is_copied_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, pwrite = os.write, os.pwrite
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:10]))
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: pwrite(file, data[:10], offset))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "record.json").write_text("[1]" * 1000)
    folder_copies.copy(tmp_path / "data", tmp_path / "copy", lambda store: None)
    assert (tmp_path / "copy" / "record.json").read_text() == "[1]" * 1000


def test_a_copy_has_every_store_in_one_state(start_server: Any, tmp_path: Path) -> None:
    server: Server = start_server(auth="on", regions="eu-west-1,us-east-1", data_dir=tmp_path / "data")
    client = server.client(region="us-east-1")
    client.create_table(**TABLE)
    other = server.client(region="eu-west-1")
    other.create_table(**TABLE)
    other.put_item(TableName="counted", Item={"p": {"S": "a"}, "s": {"N": "1"}})
    assert run_jedlik("account", "create", "222222222222", "--data-dir", str(tmp_path / "data")).returncode == 0
    iam = server.client("iam")
    iam.create_user(UserName="reader")
    policy = "arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"
    iam.attach_user_policy(UserName="reader", PolicyArn=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    written = 0
    over = threading.Event()

    def write() -> None:
        nonlocal written
        while not over.is_set():
            client.put_item(TableName="counted", Item={"p": {"S": "a"}, "s": {"N": str(written)}})
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        eventually(lambda: written > 20)
        before = written
        made = run_jedlik("copy", str(tmp_path / "copy"), "--data-dir", str(tmp_path / "data"))
        after = written
        eventually(lambda: written > after)
    finally:
        over.set()
        writer.join()
    assert made.returncode == 0, made.stderr
    assert "without the root key" in made.stdout
    assert not (tmp_path / "copy.incomplete").exists()
    again = run_jedlik("copy", str(tmp_path / "copy"), "--data-dir", str(tmp_path / "data"))
    assert (again.returncode, "there is something in" in again.stderr) == (2, True)
    listed = [run_jedlik("account", "list", "--data-dir", str(tmp_path / name)).stdout for name in ("copy", "data")]
    assert "222222222222" in listed[0]
    assert listed[0] == listed[1]
    root_key = (tmp_path / "data.root-key").read_bytes()
    assert all(root_key not in file.read_bytes() for file in (tmp_path / "copy").rglob("*") if file.is_file())
    (tmp_path / "copy.root-key").write_bytes(root_key)
    (tmp_path / "copy.root-key").chmod(0o600)
    checked = run_jedlik("check", "--data-dir", str(tmp_path / "copy"))
    assert checked.returncode == 0, checked.stdout
    second: Server = start_server(auth="on", regions="eu-west-1,us-east-1", data_dir=tmp_path / "copy")
    for region, least, most in (("us-east-1", before, written + 1), ("eu-west-1", 1, 1)):
        reader = second.client(region=region, **keys)
        numbers = [
            int(item["s"]["N"])
            for item in reader.query(
                TableName="counted",
                KeyConditionExpression="p = :p",
                ExpressionAttributeValues={":p": {"S": "a"}},
            )["Items"]
        ]
        if region == "us-east-1":
            # Writes came one after the other, so one state has the first ones without a gap.
            assert numbers == list(range(len(numbers)))
        assert least <= len(numbers) <= most
    second.client(region="us-east-1").put_item(TableName="counted", Item={"p": {"S": "b"}, "s": {"N": "1"}})
