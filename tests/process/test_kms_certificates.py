"""A KMS that demands certificates of its clients: another Jedlik with mutual TLS, and keys of tables in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from amazondax import AmazonDaxClient
from botocore.config import Config
from botocore.exceptions import ClientError

from jedlik import other_kms
from testing import kms_settings
from testing.certificates import CLIENT, SERVER, Authority, Pair
from testing.dynamodb.definitions import create, describe
from testing.dynamodb.refusals import refusal
from testing.jedlik_process import Server, eventually

KEY = {"p": {"S": "a"}}
AWAY = ("InternalServerError", "KMS internal error: KMS does not answer")


class Site(NamedTuple):
    """A server with keys, one with tables, and what the second shows to the first."""

    keys: Server
    tables: Server
    servers: Authority
    clients: Authority
    shown: Pair
    folder: Path

    @property
    def kms(self) -> Any:
        admin = self.clients.issue("admin", usage=CLIENT)
        config = Config(client_cert=(str(admin.certificate), str(admin.key)))
        return self.keys.client("kms", verify=str(self.servers.file), config=config)

    def logged(self, text: str) -> list[str]:
        return [one["message"] for one in self.tables.log_lines() if text in one["message"]]


def settings(folder: Path, keys: Server, shown: Pair | None) -> Path:
    certificate = "" if shown is None else f'tls_cert = "{shown.certificate}"\ntls_key = "{shown.key}"\n'
    return kms_settings.written(folder, f"https://localhost:{keys.port}", keys, certificate)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("kms")
    servers, clients = Authority(folder, "servers"), Authority(folder, "clients")
    own, shown = servers.issue("server", usage=SERVER), clients.issue("tables", usage=CLIENT)
    keys = Server(
        folder / "keys.log",
        data_dir=folder / "keys",
        auth="on",
        tls_cert=own.certificate,
        tls_key=own.key,
        tls_client_ca=clients.file,
    )
    tables = Server(
        folder / "tables.log",
        {"SSL_CERT_FILE": str(servers.file)},
        data_dir=folder / "tables",
        seal_tables=True,
        dax=True,
        dax_port=0,
        config=settings(folder, keys, shown),
    )
    yield Site(keys, tables, servers, clients, shown, folder)
    tables.kill()
    keys.kill()


def by(key: str) -> dict[str, Any]:
    return {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}


def refused(client: Any, key: str) -> tuple[str, str]:
    return refusal(
        client.create_table,
        TableName="never",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification=by(key),
    )


def has_item(client: Any, name: str) -> bool:
    """Whether a table's item can be read by now."""
    try:
        return "Item" in client.get_item(TableName=name, Key=KEY)
    except ClientError:
        return False


def test_it_is_shown_a_certificate_that_is_read_again(site: Site) -> None:
    key = site.kms.create_key()["KeyMetadata"]["Arn"]
    client = site.tables.client()
    name = create(client, SSESpecification=by(key))
    client.put_item(TableName=name, Item=KEY)
    keys = {"aws_access_key_id": site.tables.access_key, "aws_secret_access_key": site.tables.secret_key}
    with AmazonDaxClient(endpoint_url=site.tables.dax_url, region_name="us-east-1", **keys) as dax:
        assert dax.get_item(TableName=name, Key=KEY)["Item"] == KEY
    # A stranger's certificate: nobody gets a key any more, with a reason in the log, and open tables go on.
    Authority(site.folder, "strangers").issue("tables", usage=CLIENT)
    assert refused(client, key) == AWAY
    assert any("perhaps it refuses the certificate" in line for line in site.logged("a key cannot be adopted"))
    eventually(lambda: bool(site.logged("KMS does not answer")))
    assert client.get_item(TableName=name, Key=KEY)["Item"] == KEY
    client.put_item(TableName=name, Item={"p": {"S": "b"}})
    assert describe(client, name)["TableStatus"] == "ACTIVE"
    # After a start nothing is open, and nothing is lost.
    site.tables.kill()
    site.tables.restart()
    client = site.tables.client()
    code, text = refusal(client.get_item, TableName=name, Key=KEY)
    assert (code, text) == AWAY
    site.clients.issue("tables", usage=CLIENT)
    eventually(lambda: has_item(client, name))
    assert client.scan(TableName=name)["Count"] == 2
    assert site.logged("the certificate for the other KMS has been read again")


def test_without_a_certificate_it_is_away(site: Site) -> None:
    key = site.kms.create_key()["KeyMetadata"]["Arn"]
    settings(site.folder, site.keys, None)
    site.tables.restart()
    try:
        assert refused(site.tables.client(), key) == AWAY
        assert any("perhaps it demands a certificate" in line for line in site.logged("a key cannot be adopted"))
    finally:
        settings(site.folder, site.keys, site.clients.issue("tables", usage=CLIENT))
        site.tables.restart()
    create(site.tables.client(), SSESpecification=by(key))


def test_files_that_cannot_be_used(start_server: Callable[..., Server], site: Site, tmp_path: Path) -> None:
    absent = Pair(tmp_path / "none.pem", tmp_path / "none.key.pem")
    with pytest.raises(AssertionError, match="the server ended with 2") as ended:
        start_server(config=settings(tmp_path, site.keys, absent))
    assert "kms: tls_cert: cannot use the certificate" in str(ended.value)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"tls_cert": "a"}, "tls_cert and tls_key must be given together"),
        ({"endpoint": "http://localhost:1", "tls_cert": "a", "tls_key": "b"}, "tls_cert and tls_key are for https"),
    ],
)
def test_settings_that_are_refused(more: dict[str, str], text: str) -> None:
    needed = {"endpoint": "https://kms.example", "access_key_id": "a", "secret_access_key": "b"}
    with pytest.raises(ValueError, match=text):
        other_kms.of_table(needed | more, lambda host: True)
