"""Servers show certificates to each other: between regions, and to the home of identities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.config import Config

from jedlik.config import Settings, SettingsError
from jedlik.peer_certificate import PeerCertificate, PeerCertificateError
from testing.certificates import CLIENT, SERVER, Authority, Pair
from testing.dynamodb.definitions import create, describe
from testing.dynamodb.replicated_tables import replica_updates
from testing.jedlik_process import Server, eventually, reserved_port

HERE, THERE = "us-east-1", "eu-west-1"
SECRET = "a-secret-that-both-servers-have-0123456789"


class Site(NamedTuple):
    """Two servers, of a region each, that demand certificates of all clients. The second follows the first's
    identities."""

    here: Server
    there: Server
    servers: Authority
    peers: Authority
    app: Pair

    def client(self, server: Server, region: str, service: str = "dynamodb") -> Any:
        """A client of boto3 that shows a certificate."""
        config = Config(client_cert=(str(self.app.certificate), str(self.app.key)))
        return server.client(service, region=region, verify=str(self.servers.file), config=config)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    servers, peers = Authority(tmp_path, "servers"), Authority(tmp_path, "peers")
    app = peers.issue("app", usage=CLIENT)
    reserved = [reserved_port(), reserved_port()]
    ports = dict(zip((HERE, THERE), (one.getsockname()[1] for one in reserved), strict=True))
    started = []
    for region, other in ((HERE, THERE), (THERE, HERE)):
        own, shown = servers.issue(region, usage=SERVER), peers.issue(f"peer-{region}", usage=CLIENT)
        file = tmp_path / f"{region}.toml"
        file.write_text(f'[regions.{region}]\n[regions.{other}]\nendpoint = "https://localhost:{ports[other]}"\n')
        more: dict[str, Any] = {} if region == HERE else {"identity_home": f"https://localhost:{ports[HERE]}"}
        started.append(
            Server(
                tmp_path / f"{region}.log",
                {"JEDLIK_PEER_SECRET": SECRET, "SSL_CERT_FILE": str(servers.file)},
                config=file,
                port=ports[region],
                auth="on",
                workers=1,
                data_dir=tmp_path / region,
                credentials=tmp_path / f"{region}.keys",
                tls_cert=own.certificate,
                tls_key=own.key,
                tls_client_ca=peers.file,
                peer_cert=shown.certificate,
                peer_key=shown.key,
                **more,
            )
        )
    here, there = started
    yield Site(here, there, servers, peers, app)
    for server in started:
        server.kill()
    for one in reserved:
        one.close()


def held(client: Any, name: str) -> set[str]:
    return {item["p"]["S"] for item in client.scan(TableName=name, ConsistentRead=True)["Items"]}


def times_lost(server: Server) -> int:
    """How often a server has reported that it reaches its peer no more."""
    return sum(line["message"].startswith("peer lost") for line in server.log_lines())


def test_regions_and_followers_show_certificates_that_are_read_again(site: Site, tmp_path: Path) -> None:
    here, there = site.client(site.here, HERE), site.client(site.there, THERE)
    site.client(site.here, HERE, "iam").create_user(UserName="bob")
    eventually(lambda: site.client(site.there, THERE, "iam").list_users()["Users"] != [])
    name = create(here)
    here.update_table(TableName=name, **replica_updates("Create", THERE))
    eventually(lambda: describe(here, name)["TableStatus"] == "ACTIVE")
    here.put_item(TableName=name, Item={"p": {"S": "a"}})
    there.put_item(TableName=name, Item={"p": {"S": "b"}})
    eventually(lambda: held(here, name) == held(there, name) == {"a", "b"})
    # A certificate of somebody else is refused in the handshake, and what is pulled stays away.
    before = times_lost(site.there)  # It may have been lost while a server started.
    Authority(tmp_path, "strangers").issue(f"peer-{THERE}", usage=CLIENT)
    eventually(lambda: times_lost(site.there) > before)
    here.put_item(TableName=name, Item={"p": {"S": "c"}})
    assert held(there, name) == {"a", "b"}
    site.peers.issue(f"peer-{THERE}", usage=CLIENT)
    eventually(lambda: held(there, name) == {"a", "b", "c"})


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    one, other = Authority(tmp_path, "one").issue("a"), Authority(tmp_path, "other").issue("b", password=b"secret")
    for certificate, key, message in (
        (one.certificate, tmp_path / "none", "cannot use the certificate .*No such file"),
        (one.certificate, other.key, "encrypted, and nobody is asked for passwords"),
        (other.certificate, one.key, "cannot use the certificate"),
    ):
        with pytest.raises(PeerCertificateError, match=message):
            PeerCertificate(certificate, key)
    shown = PeerCertificate(*one)
    before = shown.context()
    one.key.unlink()
    assert shown.context() is before
    Authority(tmp_path, "one").issue("a")
    assert shown.context() is not before


def test_settings(start_server: Callable[..., Server], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="peer_cert and peer_key must be given together"):
        Settings(peer_cert=tmp_path / "a")
    with pytest.raises(AssertionError, match="the server ended with 2") as ended:
        start_server(peer_cert=tmp_path / "a", peer_key=tmp_path / "b")
    assert "peer_cert: cannot use the certificate" in str(ended.value)
