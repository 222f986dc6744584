"""Backups, exports and imports in a bucket of a real S3 server: versitygw, over a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from testing.dynamodb.definitions import attributes, key_schema
from testing.jedlik_process import Server, eventually, reserved_port, run_jedlik
from testing.prepared_program import die_with_parent
from tests.clients.foreign import CACHE, INSTALL_SECONDS

GATEWAY = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
KEY, SECRET = "archivist", "archivist-secret"


@pytest.fixture(scope="module")
def gateway() -> Path:
    """The program, installed once."""
    if shutil.which("go") is None:
        pytest.skip("needs go")
    folder = CACHE / "versitygw"
    if not (folder / "versitygw").exists():
        environment = os.environ | {"GOBIN": str(folder.resolve())}
        subprocess.run(["go", "install", GATEWAY], env=environment, check=True, timeout=INSTALL_SECONDS)
    return folder / "versitygw"


@pytest.fixture(scope="module")
def endpoint(gateway: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 server with the bucket `jedlik`."""
    folder = tmp_path_factory.mktemp("s3")
    with reserved_port() as reserved, (folder.parent / "s3.log").open("wb") as log:
        port = f"127.0.0.1:{reserved.getsockname()[1]}"
        command = [str(gateway), "--access", KEY, "--secret", SECRET, "--port", port, "posix", str(folder)]
        running = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)
        url = f"http://{port}"
        eventually(lambda: is_made(url))
        yield url
        running.kill()
        running.wait()


def is_made(url: str) -> bool:
    """Make the bucket, once the server answers, if it is not there."""
    client = s3(url)
    try:
        if not client.list_buckets()["Buckets"]:
            client.create_bucket(Bucket="jedlik")
    except (BotoCoreError, ClientError):
        return False
    return True


def s3(url: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
    )


@pytest.fixture
def server(endpoint: str, tmp_path: Path) -> Iterator[Server]:
    """A Jedlik whose environment names another endpoint and another key."""
    settings = tmp_path / "jedlik.toml"
    settings.write_text(
        f"""
        backups = "bucket://archive/backups"
        [buckets.archive]
        url = "s3://jedlik/folder"
        endpoint = "{endpoint}"
        region = "us-east-1"
        access_key_id = "{KEY}"
        secret_access_key = "{SECRET}"
        """
    )
    settings.chmod(0o600)
    wrong = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "wrong", "HTTP_PROXY": "http://127.0.0.1:1"}
    running = Server(tmp_path / "log", wrong, config=settings, data_dir=tmp_path / "data", in_memory=True)
    yield running
    running.kill()


def test_backups_exports_and_imports_are_in_the_bucket(server: Server, endpoint: str) -> None:
    client = server.client()
    table = {"KeySchema": key_schema("p"), "AttributeDefinitions": attributes(p="S"), "BillingMode": "PAY_PER_REQUEST"}
    client.create_table(TableName="source", **table)
    on = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName="source", PointInTimeRecoverySpecification=on)
    for number in range(300):
        client.put_item(TableName="source", Item={"p": {"S": f"{number}"}, "text": {"S": "t" * 1000}})
    backup = client.create_backup(TableName="source", BackupName="one")["BackupDetails"]["BackupArn"]

    def status() -> str:
        found = client.describe_backup(BackupArn=backup)["BackupDescription"]["BackupDetails"]
        return str(found["BackupStatus"])

    def is_active(name: str) -> bool:
        found = client.describe_table(TableName=name)["Table"]
        return bool(found["TableStatus"] == "ACTIVE" and found["ItemCount"] == 300)

    eventually(lambda: status() == "AVAILABLE")
    client.restore_table_from_backup(TargetTableName="restored", BackupArn=backup)
    eventually(lambda: is_active("restored"))
    verified = run_jedlik("backups", "verify", "--config", str(server.options["config"]))
    assert verified.returncode == 0, verified.stderr
    assert backup in verified.stdout

    arn = client.describe_table(TableName="source")["Table"]["TableArn"]
    to = {"SourceTableName": "source", "TargetTableName": "recovered", "UseLatestRestorableTime": True}
    exported: list[dict[str, Any]] = []

    def is_exported() -> bool:
        export = client.export_table_to_point_in_time(TableArn=arn, S3Bucket="archive", S3Prefix="exports")
        export_arn = export["ExportDescription"]["ExportArn"]
        eventually(lambda: described(export_arn)["ExportStatus"] == "COMPLETED")
        exported.append(described(export_arn))
        return bool(exported[-1]["ItemCount"] == 300)

    def described(export_arn: str) -> dict[str, Any]:
        found: dict[str, Any] = client.describe_export(ExportArn=export_arn)["ExportDescription"]
        return found

    eventually(is_exported)
    client.restore_table_to_point_in_time(**to)
    eventually(lambda: is_active("recovered"))
    folder = exported[-1]["ExportManifest"].rpartition("/")[0]
    client.import_table(
        S3BucketSource={"S3Bucket": "archive", "S3KeyPrefix": f"{folder}/data/"},
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters={"TableName": "imported", **table},
    )
    eventually(lambda: is_active("imported"))
    client.delete_backup(BackupArn=backup)
    kept = backup.rpartition("/")[2]
    eventually(lambda: not any(kept in name for name in names(endpoint)))
    assert all(name.startswith("folder/") for name in names(endpoint))


def names(endpoint: str) -> list[str]:
    pages = s3(endpoint).get_paginator("list_objects_v2").paginate(Bucket="jedlik")
    return [found["Key"] for page in pages for found in page.get("Contents", ())]
