"""The secret by which servers of other regions recognise each other: when it is wrong, corrected, and changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from testing.certificates import self_signed
from testing.global_tables.three_regions import (
    NEW_SECRET,
    REGIONS,
    SECRET,
    TABLE,
    Client,
    exchange_secret,
    give_secrets,
    make_table,
    scan,
    started,
)
from testing.jedlik_process import Server, eventually, reserved_port, run_jedlik

StartServer = Callable[..., Server]

FIRST, SECOND, THIRD = REGIONS
REFUSAL = (
    f"{FIRST} refuses this region: AccessDeniedException: The request is signed with another peer_secret than the one "
    "of this server. Set the same one for the servers of all regions (--peer-secret-file)."
)
SEEN_WITHIN_MILLISECONDS = 30_000
"""A second is the expected time. A busy machine takes longer; a server that stays excluded, for ever."""


def stats(folder: Path) -> str:
    done = run_jedlik("stats", "--data-dir", str(folder))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_server_with_another_secret_is_refused_and_logs_it_and_resumes_when_corrected(tmp_path: Path) -> None:
    with started(tmp_path, 1) as world:
        make_table(world)
        give_secrets(world, tmp_path, FIRST, NEW_SECRET)
        eventually(lambda: f"put aside for {FIRST} since" in stats(tmp_path / SECOND))
        [line] = [line for line in stats(tmp_path / SECOND).splitlines() if "put aside" in line]
        assert line.endswith(REFUSAL)
        # Neither of the two is a peer of the other any more, and all others go on.
        eventually(lambda: stats(tmp_path / FIRST).count("put aside for") == len(REGIONS) - 1)
        eventually(lambda: refusals(world.servers[SECOND]) == [(f"peer lost: {REFUSAL}", FIRST)])
        put(world.servers[THIRD], THIRD, "from the third")
        eventually(lambda: "from the third" in scan(Client(world.servers[SECOND], SECOND)))
        put(world.servers[FIRST], FIRST, "from the first")

        give_secrets(world, tmp_path, FIRST, SECRET)
        for region in REGIONS:
            client = Client(world.servers[region], region)
            eventually(lambda client=client: {"from the first", "from the third"} <= scan(client).keys())  # type: ignore[misc]
            eventually(lambda region=region: "put aside" not in stats(tmp_path / region))  # type: ignore[misc]


def refusals(server: Server) -> list[tuple[str, str]]:
    """What a server has logged when it lost a peer that refuses it, and which peer."""
    lost = [line for line in server.log_lines() if line["message"].startswith("peer lost")]
    return [(line["message"], line["peer"]) for line in lost if REFUSAL in line["message"]]


def put(server: Server, region: str, name: str) -> None:
    Client(server, region).call("PutItem", TableName=TABLE, Item={"p": {"S": name}, "x": {"N": "1"}})


def test_three_servers_change_their_secret_under_load(tmp_path: Path) -> None:
    latencies = exchange_secret(tmp_path, seconds=1, rate=30, say=print)
    assert max(latencies) < SEEN_WITHIN_MILLISECONDS


@pytest.fixture
def ports() -> Iterator[list[int]]:
    """Two ports that no other process takes."""
    with reserved_port() as one, reserved_port() as other:
        yield [taken.getsockname()[1] for taken in (one, other)]


def test_servers_on_loopback_addresses_that_verify_nothing_need_no_secret(
    ports: list[int], start_server: StartServer, tmp_path: Path
) -> None:
    servers = {}
    for (own, other), (port, peer) in zip(((FIRST, SECOND), (SECOND, FIRST)), (ports, ports[::-1]), strict=True):
        file = tmp_path / f"{own}.toml"
        file.write_text(f'[regions.{own}]\n[regions.{other}]\nendpoint = "http://127.0.0.1:{peer}"\n')
        servers[own] = start_server(config=file, port=port, data_dir=tmp_path / own)
    first, second = (Client(servers[region], region) for region in (FIRST, SECOND))
    first.call(
        "CreateTable",
        TableName=TABLE,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    put(servers[FIRST], FIRST, "a")
    first.call("UpdateTable", TableName=TABLE, ReplicaUpdates=[{"Create": {"RegionName": SECOND}}])

    def is_active() -> bool:
        replicas = first.call("DescribeTable", TableName=TABLE)["Table"].get("Replicas", [])
        return {replica["ReplicaStatus"] for replica in replicas} == {"ACTIVE"}

    eventually(is_active)
    assert scan(second).keys() == {"a"}


@pytest.mark.parametrize("known", [True, False])
def test_the_certificate_of_a_peer_is_verified(known: bool, start_server: StartServer, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    secret = {"JEDLIK_PEER_SECRET": SECRET}
    other = start_server(secret, auth="on", tls_cert=certificate, tls_key=key, data_dir=tmp_path / "other")
    file = tmp_path / "jedlik.toml"
    file.write_text(f'[regions.{FIRST}]\n[regions.{SECOND}]\nendpoint = "{other.url}"\n')
    authorities = {"SSL_CERT_FILE": str(certificate)} if known else {}
    client = start_server(secret | authorities, config=file, auth="on").client(region=FIRST)
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    request = {"TableName": TABLE, "ReplicaUpdates": [{"Create": {"RegionName": SECOND}}]}
    if known:
        client.update_table(**request)
        eventually(lambda: other.client(region=SECOND, verify=str(certificate)).list_tables()["TableNames"] == [TABLE])
    else:
        with pytest.raises(ClientError, match=r"Failed to access the region: .*certificate verify failed"):
            client.update_table(**request)
