"""Replicas of a table of an account that is not the server's own: on one server, and on two that are killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from testing.dynamodb.definitions import create, describe, unused_name
from testing.dynamodb.replicated_tables import (
    HERE,
    THERE,
    add,
    becomes,
    keys_in,
    put,
    replica_updates,
    table_status,
)
from testing.global_tables.relay import Relay
from testing.jedlik_process import Server, run_jedlik

OWN, ONE, OTHER = "000000000000", "111111111111", "222222222222"


def client_of(server: Server, region: str, account: str) -> Any:
    return server.client(region=region, aws_access_key_id=account)


def test_replicas_on_one_server_stay_within_their_account(server: Server) -> None:
    name = unused_name()
    clients = {
        (account, region): client_of(server, region, account) for account in (OWN, ONE) for region in (HERE, THERE)
    }
    for account in (OWN, ONE):
        create(clients[account, HERE], TableName=name)
        put(clients[account, HERE], name, f"first of {account}")
    add(clients[ONE, HERE], name, THERE)
    put(clients[ONE, HERE], name, "from here")
    put(clients[ONE, THERE], name, "from there")
    for region in (HERE, THERE):
        shown = describe(clients[ONE, region], name)
        assert shown["TableArn"] == f"arn:aws:dynamodb:{region}:{ONE}:table/{name}"
        becomes(partial(keys_in, clients[ONE, region], name), {f"first of {ONE}", "from here", "from there"})
    assert keys_in(clients[OWN, HERE], name) == {f"first of {OWN}"}
    assert table_status(clients[OWN, THERE], name) is None
    clients[ONE, HERE].update_table(TableName=name, **replica_updates("Delete", THERE))
    becomes(lambda: table_status(clients[ONE, THERE], name), None)
    assert keys_in(clients[ONE, HERE], name) == {f"first of {ONE}", "from here", "from there"}


@pytest.fixture
def two_servers(tmp_path: Path) -> Iterator[dict[str, Server]]:
    """A server for each of two regions, which reach each other through relays."""
    relays = {region: Relay() for region in (HERE, THERE)}
    with ExitStack() as stack:
        servers = {}
        for own, other in ((HERE, THERE), (THERE, HERE)):
            settings = tmp_path / f"{own}.toml"
            endpoint = f"http://127.0.0.1:{relays[other].port}"
            settings.write_text(f'[regions.{own}]\n[regions.{other}]\nendpoint = "{endpoint}"\n')
            servers[own] = Server(tmp_path / f"{own}.log", config=settings, data_dir=tmp_path / own)
            stack.callback(servers[own].kill)
        for region, relay in relays.items():
            relay.target = servers[region].port
        yield servers


def test_replicas_on_two_servers_survive_kills(two_servers: dict[str, Server], tmp_path: Path) -> None:
    name = unused_name()
    here, there = (client_of(two_servers[region], region, ONE) for region in (HERE, THERE))
    create(here, TableName=name)
    put(here, name, "before")
    others = [client_of(two_servers[THERE], THERE, account) for account in (OWN, OTHER)]
    for other in others:  # They are in nobody's way.
        create(other, TableName=name)
    add(here, name, THERE)
    expected = {"before"}
    for region, staying, killed in ((THERE, here, there), (HERE, there, here)):
        two_servers[region].kill()
        put(staying, name, f"while {region} was away")
        two_servers[region].restart()
        put(killed, name, f"from {region} again")
        expected |= {f"while {region} was away", f"from {region} again"}
        for client in (here, there):
            becomes(partial(keys_in, client, name), expected)
    for other in others:
        assert "Replicas" not in describe(other, name)
        assert keys_in(other, name) == set()
    for region, server in two_servers.items():
        server.stop()
        checked = run_jedlik("check", "--data-dir", str(tmp_path / region))
        assert checked.returncode == 0, checked.stdout
        assert f"{ONE}/{region}: " in checked.stdout
