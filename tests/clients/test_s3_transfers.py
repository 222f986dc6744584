"""`jedlik export` and `jedlik import`, and jobs, with a real S3 server (`test_s3`): large objects, odd names, what is
refused, and what is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, key_schema
from testing.jedlik_process import Server, eventually, reserved_port
from testing.prepared_program import die_with_parent
from tests.clients.test_s3 import KEY, SECRET, gateway, is_made, names, s3

__all__ = ["gateway"]

TABLE = {"KeySchema": key_schema("p"), "AttributeDefinitions": attributes(p="S"), "BillingMode": "PAY_PER_REQUEST"}
ITEMS = 120


class Store:
    """An S3 server that can be stopped and started again."""

    def __init__(self, program: Path, folder: Path) -> None:
        (folder / "objects").mkdir()
        self._reserved = reserved_port()
        port = f"127.0.0.1:{self._reserved.getsockname()[1]}"
        words = [str(program), "--access", KEY, "--secret", SECRET, "--port", port, "posix"]
        self._command = [*words, str(folder / "objects")]
        self._log = folder / "s3.log"
        self.url = f"http://{port}"
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(self._command, stdout=log, stderr=log, preexec_fn=die_with_parent)
        eventually(lambda: is_made(self.url))

    def stop(self) -> None:
        self._running.kill()
        self._running.wait()

    def end(self) -> None:
        self.stop()
        self._reserved.close()

    def options(self, **changed: str) -> list[str]:
        options = {"endpoint": self.url, "region": "us-east-1", "access_key_id": KEY, "secret_access_key": SECRET}
        return [word for name, value in (options | changed).items() for word in ("--store-option", f"{name}={value}")]


@pytest.fixture(scope="module")
def store(gateway: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    running = Store(gateway, tmp_path_factory.mktemp("s3"))
    yield running
    running.end()


@pytest.fixture(scope="module")
def server(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a table of 12 MB, and with buckets that the S3 server has not or does not open."""
    folder = tmp_path_factory.mktemp("server")
    settings = folder / "jedlik.toml"
    bucket = (
        '[buckets.{}]\nurl = "s3://{}"\nregion = "us-east-1"\nendpoint = "{}"\naccess_key_id = "{}"\n'
        'secret_access_key = "{}"\n'
    )
    of = [
        ("missing", "no-such-bucket", KEY, SECRET),
        ("closed", "jedlik", KEY, "wrong"),
    ]
    settings.write_text("".join(bucket.format(name, url, store.url, key, secret) for name, url, key, secret in of))
    settings.chmod(0o600)
    running = Server(folder / "log", config=settings, data_dir=folder / "data", in_memory=True)
    client = running.client()
    client.create_table(TableName="source", **TABLE)
    on = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName="source", PointInTimeRecoverySpecification=on)
    random = Random(1)
    for number in range(ITEMS):
        text = f"{random.getrandbits(400_000):0100000x}"
        client.put_item(TableName="source", Item={"p": {"S": f"{number}"}, "text": {"S": text}})
    yield running
    running.kill()


def jedlik(server: Server, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, where it has its notes."""
    command = [sys.executable, "-m", "jedlik", *words, "--endpoint-url", server.url]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def held(client: Any, table: str) -> list[dict[str, Any]]:
    pages = client.get_paginator("scan").paginate(TableName=table)
    return sorted((item for page in pages for item in page["Items"]), key=lambda item: int(item["p"]["S"]))


def test_a_large_object_of_any_name_is_written_in_parts_and_read(server: Server, store: Store, tmp_path: Path) -> None:
    client = server.client()
    for number, key in enumerate(("some/pre fix/ä#%20+b.json", "plain.ion.gz", "deep/er/x.json.zst")):
        target, table = f"s3://jedlik/{key}", f"target-{number}"
        exported = jedlik(server, tmp_path, "export", "source", target, *store.options())
        assert exported.stdout == f"{ITEMS} items of source are in {target}\n", exported.stderr
        assert key in names(store.url)
        client.create_table(TableName=table, **TABLE)
        imported = jedlik(server, tmp_path, "import", target, table, *store.options())
        assert imported.stdout == f"{ITEMS} items of {target} are in {table}\n", imported.stderr
        assert held(client, table) == held(client, "source")
    assert list(tmp_path.iterdir()) == []
    assert s3(store.url).list_multipart_uploads(Bucket="jedlik").get("Uploads", []) == []


def test_what_the_store_refuses_is_named(server: Server, store: Store, tmp_path: Path) -> None:
    wrong = store.options(secret_access_key="wrong")
    for words, options, reason in (
        (("export", "source", "s3://jedlik/x.json"), wrong, "cannot write x.json: SignatureDoesNotMatch: "),
        (("import", "s3://jedlik/x.json", "source"), wrong, "cannot read x.json: SignatureDoesNotMatch: "),
        (("export", "source", "s3://absent/x.json"), store.options(), "there is no such bucket"),
        (("import", "s3://absent/x.json", "source"), store.options(), "there is no such bucket"),
        (("import", "s3://jedlik/absent.json", "source"), store.options(), "there is no absent.json"),
    ):
        done = jedlik(server, tmp_path, *words, *options)
        assert (done.returncode, done.stdout) == (2, "")
        url = "s3://absent" if "absent/" in " ".join(words) else "s3://jedlik"
        assert done.stderr.startswith(f"jedlik: {url}: {reason}"), done.stderr
        assert "<" not in done.stderr


def test_what_a_store_did_not_take_is_sent_when_it_is_there_again(server: Server, store: Store, tmp_path: Path) -> None:
    words = ("export", "source", "s3://jedlik/again.json", *store.options())
    store.stop()
    try:
        assert jedlik(server, tmp_path, *words).returncode == 2
    finally:
        store.start()
    # What was read is kept: nothing is read again.
    client = server.client()
    client.put_item(TableName="source", Item={"p": {"S": "999"}})
    try:
        done = jedlik(server, tmp_path, *words)
    finally:
        client.delete_item(TableName="source", Key={"p": {"S": "999"}})
    assert done.stdout == f"{ITEMS} items of source are in s3://jedlik/again.json\n", done.stderr
    assert list(tmp_path.iterdir()) == []
    found = s3(store.url).get_object(Bucket="jedlik", Key="again.json")["Body"].read()
    assert len(found.splitlines()) == ITEMS


def test_an_import_that_is_killed_goes_on(server: Server, store: Store, tmp_path: Path) -> None:
    client = server.client()
    client.create_table(TableName="killed", **TABLE)
    assert jedlik(server, tmp_path, "export", "source", "s3://jedlik/killed.json", *store.options()).returncode == 0
    words = ["import", "s3://jedlik/killed.json", "killed", *store.options(), "--endpoint-url", server.url]
    running = subprocess.Popen([sys.executable, "-m", "jedlik", *words], cwd=tmp_path)

    def has_begun() -> bool:
        return bool(client.scan(TableName="killed", Limit=1)["Items"]) or running.poll() is not None

    eventually(has_begun)
    running.send_signal(signal.SIGKILL)
    running.wait()
    done = jedlik(server, tmp_path, "import", "s3://jedlik/killed.json", "killed", *store.options())
    assert done.stdout == f"{ITEMS} items of s3://jedlik/killed.json are in killed\n", done.stderr
    assert held(client, "killed") == held(client, "source")


@pytest.mark.parametrize(
    ("bucket", "failure"),
    [
        ("missing", ("S3NoSuchBucket", "The specified bucket does not exist")),
        ("closed", ("S3AccessDenied", "Access Denied")),
    ],
)
def test_jobs_fail_where_the_store_refuses_them(server: Server, bucket: str, failure: tuple[str, str]) -> None:
    client = server.client()
    imported = client.import_table(
        S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": "some"},
        InputFormat="DYNAMODB_JSON",
        TableCreationParameters={"TableName": f"from-{bucket}", **TABLE},
    )["ImportTableDescription"]["ImportArn"]
    arn = client.describe_table(TableName="source")["Table"]["TableArn"]
    exported = client.export_table_to_point_in_time(TableArn=arn, S3Bucket=bucket)["ExportDescription"]["ExportArn"]

    def ended() -> list[dict[str, Any]]:
        return [
            client.describe_import(ImportArn=imported)["ImportTableDescription"],
            client.describe_export(ExportArn=exported)["ExportDescription"],
        ]

    eventually(lambda: all(one.get("FailureCode") for one in ended()))
    assert [(one["FailureCode"], one["FailureMessage"]) for one in ended()] == [failure] * 2
