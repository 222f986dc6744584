"""The recipe of docs/operating/private-links.md as it stands there: two sites in network namespaces, with a tunnel, a
server in the one and clients in the other, and a stranger who tries to come past the tunnel."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from testing.identities import policy
from testing.jedlik_process import eventually, run_jedlik
from testing.source_tree import ROOT
from tests.clients.foreign import CACHE, INSTALL_SECONDS
from tests.clients.network_sites import Network, Site, check

DOCUMENT = (ROOT / "docs" / "operating" / "private-links.md").read_text()
PROGRAMS = Path(__file__).parent / "private_links"
WIREGUARD_GO = "golang.zx2c4.com/wireguard@v0.0.0-20260522210424-ecfc5a8d5446"
PUBLIC, ENDPOINT = "http://203.0.113.1:8000", "http://10.77.0.1:8443"
KEY = {"Artist": {"S": "No One You Know"}}
GET = {"TableName": "Music", "Key": KEY}


def block(kind: str, beginning: str) -> str:
    """The block of the document that begins with these words."""
    found = re.findall(rf"^```{kind}\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    [one] = [text for text in found if text.lstrip().startswith(beginning)]
    return str(one)


def programs() -> str:
    """The folder with wireguard-go, and with what stands for wg where it is not installed. Skips the test where
    wireguard-go cannot be had."""
    for tool in ("unshare", "nsenter", "ip"):
        if shutil.which(tool) is None:
            pytest.skip(f"private links need {tool}, which is not installed")
    folder = CACHE / "private_links"
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("wg") is None:
        (folder / "wg").write_text(f"#!{sys.executable}\n" + (PROGRAMS / "wg").read_text().partition("\n")[2])
        (folder / "wg").chmod(0o755)
    if shutil.which("wireguard-go") is None and not (folder / "wireguard-go").exists():
        if shutil.which("go") is None:
            pytest.skip("private links need wireguard-go, and there is no go to build it")
        made = subprocess.run(
            ["go", "install", WIREGUARD_GO],
            env=os.environ | {"GOBIN": str(folder)},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if made.returncode != 0:
            pytest.skip(f"go install {WIREGUARD_GO} failed: {made.stderr[-1000:]}")
        (folder / "wireguard").rename(folder / "wireguard-go")
    return str(folder)


@dataclass
class Sites:
    """The network, the server's site, the clients' site, and a third one without a tunnel."""

    folder: Path
    server: Site
    clients: Site
    stranger: Site
    environment: dict[str, str]
    """Where programs are, and the keys of the account itself."""
    user: dict[str, str]
    """The keys of a user, who may do everything that policies of tables and of the endpoint let it do."""

    def ask(self, site: Site, endpoint: str, operation: str, asked: Any, *, by_user: bool = True) -> Any:
        """The outcome of a request from a site: the answer, the text of a refusal, or `unreachable`. The operation may
        begin with its service."""
        service, _, name = operation.rpartition(":")
        environment = self.environment | (self.user if by_user else {})
        arguments = (endpoint, service or "dynamodb", name, json.dumps(asked))
        ran = site.run(sys.executable, str(PROGRAMS / "ask.py"), *arguments, environment=environment)
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)
        return found["answer"] if "answer" in found else found.get("text", found["error"])


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    path = f"{programs()}:{os.environ['PATH']}:/usr/sbin:/sbin"
    folder = tmp_path_factory.mktemp("sites")
    network = Network()
    try:
        server, clients, stranger = (
            network.site(name, f"203.0.113.{number}/24")
            for number, name in enumerate(("server", "clients", "third"), 1)
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "JEDLIK_"))}
        environment |= {"PATH": path, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "HOME": str(folder)}
        dig_tunnel(folder, server, clients, environment)
        serve(folder, server, environment)
        made = Sites(folder, server, clients, stranger, environment, {})
        prepare(made)
        yield made
    finally:
        network.end()


def dig_tunnel(folder: Path, server: Site, clients: Site, environment: dict[str, str]) -> None:
    """Run the document's commands at both sites."""
    places = {site: folder / name for site, name in ((server, "server-site"), (clients, "clients-site"))}
    for site, place in places.items():
        place.mkdir()
        check(site.run("sh", "-ec", block("sh", "umask"), folder=place, environment=environment))
    public = {site: (place / "public.key").read_text().strip() for site, place in places.items()}
    for site, beginning, name, peer in (
        (server, "wg set wg0 private-key private.key listen-port", "CLIENTS_PUBLIC_KEY", clients),
        (clients, "wg set wg0 private-key private.key peer", "SERVERS_PUBLIC_KEY", server),
    ):
        commands = block("sh", beginning).replace(name, public[peer])
        check(site.run("sh", "-ec", commands, folder=places[site], environment=environment))


def serve(folder: Path, site: Site, environment: dict[str, str]) -> None:
    """Start the server with the document's settings, and wait until it serves."""
    settings, data, log = folder / "jedlik.toml", folder / "data", folder / "log"
    settings.write_text(block("toml", "host"))
    made = run_jedlik("credentials", "create", "--data-dir", str(data)).stdout
    keys = dict(line.split(" = ", 1) for line in made.splitlines() if " = " in line)
    environment |= {name.upper(): keys[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    command = f"exec {sys.executable} -m jedlik serve --config {settings} --data-dir {data} --workers 1 2>{log}"
    running = site.start("sh", "-c", command, environment=environment)

    def is_serving() -> bool:
        assert running.poll() is None, log.read_text()
        return '"message":"listening"' in (log.read_text() if log.exists() else "")

    eventually(is_serving)


def prepare(sites: Sites) -> None:
    """A table with the document's policy, and a user."""
    definition = {
        "TableName": "Music",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "Artist", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "Artist", "KeyType": "HASH"}],
    }
    table = sites.ask(sites.server, ENDPOINT, "create_table", definition, by_user=False)["TableDescription"]
    everything = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
    for operation, given in (
        ("iam:create_user", {"UserName": "app"}),
        ("iam:put_user_policy", {"UserName": "app", "PolicyName": "p", "PolicyDocument": everything}),
    ):
        assert isinstance(sites.ask(sites.server, PUBLIC, operation, given, by_user=False), dict)
    made = sites.ask(sites.server, PUBLIC, "iam:create_access_key", {"UserName": "app"}, by_user=False)["AccessKey"]
    sites.user |= {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}
    document = {"ResourceArn": table["TableArn"], "Policy": block("json", "{")}
    assert "RevisionId" in sites.ask(sites.server, ENDPOINT, "put_resource_policy", document, by_user=False)


def test_a_client_at_the_other_site_comes_through_the_tunnel(sites: Sites) -> None:
    assert sites.ask(sites.clients, ENDPOINT, "put_item", {"TableName": "Music", "Item": KEY}) == {}
    assert sites.ask(sites.clients, ENDPOINT, "get_item", GET) == {"Item": KEY}


def test_who_does_not_use_the_tunnel_is_refused(sites: Sites) -> None:
    """The same user, from the same site, at the server's public address."""
    for site in (sites.clients, sites.stranger, sites.server):
        text = sites.ask(site, PUBLIC, "get_item", GET)
        assert text.endswith("with an explicit deny in a resource-based policy"), text
    assert sites.ask(sites.clients, PUBLIC, "list_tables", {}) == {"TableNames": ["Music"]}


def test_who_has_no_tunnel_does_not_reach_the_endpoint(sites: Sites) -> None:
    assert sites.ask(sites.stranger, ENDPOINT, "get_item", GET) == "unreachable"


def test_who_comes_past_the_tunnel_has_another_address(sites: Sites) -> None:
    """Linux answers for the tunnel's address on the other interface, too: the policy refuses those who use that."""
    check(sites.stranger.run("ip", "route", "add", "10.77.0.1/32", "via", "203.0.113.1"))
    try:
        text = sites.ask(sites.stranger, ENDPOINT, "get_item", GET)
        assert text.endswith("because no VPC endpoint policy allows the dynamodb:GetItem action"), text
        # With the tunnel's address it gets no answer.
        check(sites.stranger.run("ip", "address", "add", "10.77.0.2/32", "dev", "eth0"))
        check(sites.stranger.run("ip", "route", "change", "10.77.0.1/32", "via", "203.0.113.1", "src", "10.77.0.2"))
        assert sites.ask(sites.stranger, ENDPOINT, "get_item", GET) == "unreachable"
    finally:
        check(sites.stranger.run("ip", "route", "delete", "10.77.0.1/32"))


def test_without_the_tunnel_there_is_no_way(sites: Sites) -> None:
    assert sites.ask(sites.clients, ENDPOINT, "put_item", {"TableName": "Music", "Item": KEY}) == {}
    check(sites.clients.run("ip", "link", "set", "wg0", "down"))
    try:
        assert sites.ask(sites.clients, ENDPOINT, "get_item", GET) == "unreachable"
    finally:
        check(sites.clients.run("ip", "link", "set", "wg0", "up"))
    eventually(lambda: sites.ask(sites.clients, ENDPOINT, "get_item", GET) == {"Item": KEY})
