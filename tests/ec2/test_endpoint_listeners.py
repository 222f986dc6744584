"""The listeners of VPC endpoints: their settings, restarts, kills, TLS, and several workers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, SSLError

from jedlik.cli.serve_command import settings_of
from jedlik.config import Settings, SettingsError
from jedlik.ec2.endpoint_records import endpoint_row
from jedlik.settings_file import from_file
from jedlik.storage.engine import Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.vpc_endpoints import VpcEndpoint
from testing.certificates import SERVER, Authority, Pair
from testing.data_folders import store_in
from testing.dynamodb.definitions import create
from testing.identities import answer, policy
from testing.jedlik_process import Server, eventually, run_jedlik
from testing.private_ways import ENDPOINT, KEY, OTHER, VPC, by, settings

Start = Callable[..., Server]
GET = {"TableName": "Table", "Key": KEY}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}
NO_GETS = policy(EVERYTHING, EVERYTHING | {"Effect": "Deny", "Action": "dynamodb:GetItem"})
NO_PUTS = policy(EVERYTHING, EVERYTHING | {"Effect": "Deny", "Action": "dynamodb:PutItem"})


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """One with three workers, which is killed and started again."""
    folder = tmp_path_factory.mktemp("server")
    file = folder / "jedlik.toml"
    file.write_text(settings(ENDPOINT, policy=NO_PUTS) + settings(OTHER))
    running = start_shared_server(config=file, auth="on", workers=3)
    create(running.client(), TableName="Table")
    return running


def does(client: Any) -> tuple[str, str]:
    """Whether a client may read, and whether it may write."""
    return answer(client.get_item, **GET), answer(client.put_item, TableName="Table", Item=KEY)


DENIED, ALLOWED = "AccessDeniedException", "allowed"


def test_a_changed_policy_holds_in_all_workers_from_the_next_request_on(server: Server) -> None:
    ec2, clients = server.client("ec2"), [by(server, ENDPOINT) for _ in range(9)]
    assert {does(client) for client in clients} == {(ALLOWED, DENIED)}
    for _ in range(3):
        ec2.modify_vpc_endpoint(VpcEndpointId=ENDPOINT, PolicyDocument=NO_GETS)
        assert {does(client) for client in clients} == {(DENIED, ALLOWED)}
        ec2.modify_vpc_endpoint(VpcEndpointId=ENDPOINT, ResetPolicy=True)
        assert {does(client) for client in clients} == {(ALLOWED, DENIED)}
    assert does(by(server, OTHER)) == (ALLOWED, ALLOWED)


def test_a_kill_loses_nothing_of_what_was_changed(server: Server) -> None:
    ec2 = server.client("ec2")
    ec2.modify_vpc_endpoint(VpcEndpointId=ENDPOINT, PolicyDocument=NO_GETS)
    ec2.create_tags(Resources=[OTHER], Tags=[{"Key": "Team", "Value": "red"}])
    server.kill()
    server.restart()
    ec2 = server.client("ec2")
    assert does(by(server, ENDPOINT)) == (DENIED, ALLOWED)
    found = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert [(one["PolicyDocument"] == NO_GETS, one["Tags"]) for one in found] == [
        (True, []),
        (False, [{"Key": "Team", "Value": "red"}]),
    ]
    ec2.modify_vpc_endpoint(VpcEndpointId=ENDPOINT, ResetPolicy=True)
    assert does(by(server, ENDPOINT)) == (ALLOWED, DENIED)


def test_what_was_set_wins_over_settings_that_are_read_again(server: Server) -> None:
    file = Path(str(server.options["config"]))
    before = file.read_text()
    server.client("ec2").modify_vpc_endpoint(VpcEndpointId=OTHER, PolicyDocument=NO_PUTS)
    file.write_text(settings(ENDPOINT, policy=NO_GETS) + settings(OTHER, policy=NO_GETS))
    server.send_signal(signal.SIGHUP)
    eventually(lambda: does(by(server, ENDPOINT)) == (DENIED, ALLOWED))
    eventually(lambda: any(line["message"] == "restarted" for line in server.log_lines()))
    assert does(by(server, OTHER)) == (ALLOWED, DENIED)
    refusals = {
        "": "vpc_endpoints can be added, removed and moved only by stopping the server and starting it",
        settings(ENDPOINT) + settings(OTHER, listen="127.0.0.1:1"): "vpc_endpoints can be added, removed and moved",
        settings(ENDPOINT, policy="{") + settings(OTHER): "the policy cannot be used: Syntax errors in policy.",
    }
    for text, reason in refusals.items():
        file.write_text(text)
        server.send_signal(signal.SIGHUP)
        wanted = f"nothing is restarted: {reason}", f"nothing is restarted: vpc_endpoints.{ENDPOINT}: {reason}"
        eventually(lambda wanted=wanted: any(line["message"].startswith(wanted) for line in server.log_lines()))  # type: ignore[misc]
    assert does(by(server, ENDPOINT)) == (DENIED, ALLOWED)
    # Other tests find everything as it was.
    file.write_text(before)
    server.client("ec2").modify_vpc_endpoint(VpcEndpointId=OTHER, ResetPolicy=True)
    server.send_signal(signal.SIGHUP)
    eventually(lambda: messages(server, "restarted") == 2)
    eventually(lambda: does(by(server, ENDPOINT)) == (ALLOWED, DENIED))


def test_an_endpoint_has_certificates_of_its_own(start_server: Start, tmp_path: Path) -> None:
    servers, clients = Authority(tmp_path, "servers"), Authority(tmp_path, "clients")
    own, app, other = servers.issue("server", usage=SERVER), clients.issue("app"), clients.issue("other")
    files = {"tls_cert": str(own.certificate), "tls_key": str(own.key), "tls_client_ca": str(clients.file)}
    in_the_open = EVERYTHING | {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    others = EVERYTHING | {"Effect": "Deny", "Condition": {"StringNotEquals": {"jedlik:TlsClientSubject": "CN=app"}}}
    file = tmp_path / "jedlik.toml"
    file.write_text(
        settings(ENDPOINT, **files, policy=policy(EVERYTHING, in_the_open, others))
        + settings(OTHER, policy=policy(EVERYTHING, in_the_open))
    )
    server = start_server(config=file, auth="on", in_memory=True)
    assert server.vpc_endpoint(ENDPOINT).startswith("https://127.0.0.1:")

    def showing(pair: Pair | None) -> Any:
        shown = None if pair is None else (str(pair.certificate), str(pair.key))
        config = Config(client_cert=shown, retries={"total_max_attempts": 1})
        return by(server, ENDPOINT, verify=str(servers.file), config=config)

    assert showing(app).list_tables()["TableNames"] == []
    assert answer(showing(other).list_tables) == DENIED
    with pytest.raises((SSLError, ConnectionClosedError, EndpointConnectionError)):
        showing(None).list_tables()
    assert answer(by(server, OTHER).list_tables) == DENIED
    assert server.client().list_tables()["TableNames"] == []
    before = own.certificate.read_bytes()
    servers.issue("server", usage=SERVER)
    assert own.certificate.read_bytes() != before
    eventually(lambda: messages(server, "certificates read again") == 1)


def messages(server: Server, text: str) -> int:
    return sum(line["message"] == text for line in server.log_lines())


def test_without_verification_an_endpoint_is_a_listener_without_a_policy(start_server: Start, tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text(settings(ENDPOINT, region="eu-west-1"))
    server = start_server(config=file, in_memory=True)
    create(server.client(region="eu-west-1"), TableName="Table")
    client = by(server, ENDPOINT, region_name="eu-west-1")
    assert does(client) == (ALLOWED, ALLOWED)
    assert answer(by(server, ENDPOINT).list_tables) == "InvalidSignatureException"


def test_a_damaged_record_lets_nothing_by(start_server: Start, tmp_path: Path) -> None:
    """The policy that cannot be read may have refused it."""
    file = tmp_path / "jedlik.toml"
    file.write_text(settings(ENDPOINT))
    server = start_server(config=file, auth="on")
    create(server.client(), TableName="Table")
    server.stop()

    async def damage() -> None:
        writes = Writes()
        writes.put(endpoint_row(ENDPOINT), b"?")
        engine = LmdbEngine.open(store_in(tmp_path / "data"), durable=True)
        await engine.mutate((), lambda _: (writes, None))
        await engine.close()

    asyncio.run(damage())
    server.restart()
    assert {answer(by(server, ENDPOINT).get_item, **GET) for _ in range(3)} == {"InternalServerError"}
    assert answer(server.client().get_item, **GET) == ALLOWED


# Settings


OF_CLIENTS = {"tls_client_ca": "c.pem", "tls_client_certs": "optional"}


def test_settings_of_an_endpoint(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(NO_GETS)
    file = tmp_path / "jedlik.toml"
    file.write_text(
        'regions = "eu-west-1"\nauth = "on"\n'
        + settings(ENDPOINT, listen="10.0.0.5:8443", region="", policy_file=str(tmp_path / "policy.json"))
        + settings(OTHER, listen="[fd00::5]:0", region="eu-west-1", tls_cert="a.pem", tls_key="b.pem", **OF_CLIENTS)
    )
    given = settings_of(["--config", str(file)])
    assert given.vpc_endpoints == {
        ENDPOINT: VpcEndpoint(ENDPOINT, "10.0.0.5", 8443, VPC, None, NO_GETS),
        OTHER: VpcEndpoint(
            *(OTHER, "fd00::5", 0, VPC, "eu-west-1", None),
            tls_cert=Path("a.pem"),
            tls_key=Path("b.pem"),
            tls_client_ca=Path("c.pem"),
            needs_client_certs=False,
        ),
    }
    assert [given.region_of(one) for one in given.vpc_endpoints.values()] == ["eu-west-1", "eu-west-1"]
    assert [one.listen for one in given.vpc_endpoints.values()] == ["10.0.0.5:8443", "[fd00::5]:0"]


FORM = "vpc- and 8 or 17 digits of 0-9 and a-f"
LISTEN = f"vpc_endpoints.{ENDPOINT}: listen must be like 10.0.0.5:8443 or [fd00::5]:8443, not "


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("vpc_endpoints = 1", "vpc_endpoints must be tables, like [vpc_endpoints.vpce-0123456789abcdef0]"),
        ("[vpc_endpoint.x]", "no such setting: vpc_endpoint (did you mean vpc_endpoints?)"),
        (settings("vpce-1"), "vpc_endpoints.vpce-1: the id of an endpoint is vpce- and 8 or 17 digits of 0-9 and a-f"),
        (settings(ENDPOINT, listens="x"), "no such setting: listens (did you mean listen?)"),
        (settings(ENDPOINT, listen=""), f"vpc_endpoints.{ENDPOINT} must have listen"),
        (settings(ENDPOINT, listen="", vpc_id=""), f"vpc_endpoints.{ENDPOINT} must have listen and vpc_id"),
        (settings(ENDPOINT, vpc_id="vpc-1"), f"vpc_endpoints.{ENDPOINT}: vpc_id must be {FORM}, not 'vpc-1'"),
        (settings(ENDPOINT) + "policy = 1", f"vpc_endpoints.{ENDPOINT}: policy must be a string"),
        (settings(ENDPOINT, listen="10.0.0.5"), f"{LISTEN}'10.0.0.5'"),
        (settings(ENDPOINT, listen=":8000"), f"{LISTEN}':8000'"),
        (settings(ENDPOINT, listen="h:65536"), f"{LISTEN}'h:65536'"),
        (settings(ENDPOINT, listen="h:-1"), f"{LISTEN}'h:-1'"),
        (settings(ENDPOINT, listen="fd00::5:80"), f"{LISTEN}'fd00::5:80'"),
        (settings(ENDPOINT, listen="[h]:80"), f"{LISTEN}'[h]:80'"),
        (settings(ENDPOINT, tls_cert="x"), "tls_cert and tls_key must be given together"),
        (settings(ENDPOINT, tls_client_ca="x"), "tls_client_ca is for HTTPS: it needs tls_cert and tls_key"),
        (settings(ENDPOINT, tls_client_certs="optional"), "tls_client_certs needs tls_client_ca"),
        (settings(ENDPOINT, tls_client_crl="x"), "tls_client_crl needs tls_client_ca"),
        (
            settings(ENDPOINT, tls_cert="x", tls_key="y", tls_client_ca="z", tls_client_certs="x"),
            "tls_client_certs must be required or optional",
        ),
        (settings(ENDPOINT, policy="{}", policy_file="x"), "the policy is to be in one place only"),
        (settings(ENDPOINT, policy_file="/nowhere/p"), "cannot read /nowhere/p: No such file or directory"),
        (
            settings(ENDPOINT, listen="h:1") + settings(OTHER, listen="h:1"),
            f"vpc_endpoints.{OTHER}: {ENDPOINT} listens on h:1, too",
        ),
        (
            "".join(settings(f"vpce-{n:08x}") for n in range(51)),
            "there are 51 vpc_endpoints, and 50 are the most",
        ),
    ],
)
def test_files_that_are_refused(text: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        from_file(file)
    assert reason in str(refused.value)


def one(**given: Any) -> dict[str, VpcEndpoint]:
    return {ENDPOINT: VpcEndpoint(**{"id": ENDPOINT, "host": "127.0.0.1", "port": 0, "vpc": VPC, **given})}


def test_settings_that_do_not_go_together() -> None:
    where = f"vpc_endpoints.{ENDPOINT}"
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"vpc_endpoints": one()}, f"{where}: region is needed, as this server serves more than one"),
        (
            {"regions": "eu-west-1", "vpc_endpoints": one(region="us-east-1")},
            f"{where}: region: 'us-east-1' is not served here",
        ),
        (
            {"regions": "eu-west-1", "vpc_endpoints": one(policy="{}")},
            f"{where}: policy is for --auth on: with off, everybody may do everything",
        ),
        (
            {"regions": "eu-west-1", "vpc_endpoints": one(host="0.0.0.0")},
            "refusing to listen on 0.0.0.0 with --auth off",
        ),
    )
    for given, reason in cases:
        with pytest.raises(SettingsError) as refused:
            Settings(**given)
        assert str(refused.value).startswith(reason)
    assert Settings(regions="eu-west-1", auth="on", vpc_endpoints=one(host="0.0.0.0", policy="{}")).vpc_endpoints


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"policy": "{"}, f"vpc_endpoints.{ENDPOINT}: the policy cannot be used: Syntax errors in policy."),
        ({"policy": NO_GETS + " " * 20_480}, f"vpc_endpoints.{ENDPOINT}: the policy cannot be used: The policy has"),
        ({"listen": "192.0.2.1:0"}, "cannot listen on 192.0.2.1:0: Cannot assign requested address"),
        ({"tls_cert": "no.pem", "tls_key": "no.pem"}, "cannot use the certificate no.pem with the key no.pem"),
    ],
)
def test_what_keeps_a_server_from_starting(given: dict[str, str], reason: str, tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text(settings(ENDPOINT, **given))
    keys = run_jedlik("credentials", "create", "--data-dir", str(tmp_path / "data"))
    assert keys.returncode == 0
    ended = run_jedlik(
        *("serve", "--port", "0", "--auth", "on", "--config", str(file), "--data-dir", str(tmp_path / "data"))
    )
    assert ended.returncode == 2
    assert reason in ended.stderr
