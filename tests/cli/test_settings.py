"""The command line: the sources of settings, and which of them keep the server from starting."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from botocore.exceptions import ClientError

from jedlik import __version__
from jedlik.cli.serve_command import settings_of
from jedlik.config import OPEN_SECRETS, Peer, Settings, SettingsError, options
from jedlik.settings_file import from_file
from testing.data_folders import store_in
from testing.jedlik_process import Server, run_jedlik

# Where settings come from.


def test_version() -> None:
    assert run_jedlik("--version").stdout == f"jedlik {__version__}\n"


def test_each_setting_is_an_option_with_its_meaning() -> None:
    shown = run_jedlik("serve", "--help", COLUMNS="200").stdout
    for setting in options():
        assert f"--{setting.name.replace('_', '-')}" in shown


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    start_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text('account = "111111111111"\naccess_log = true\nworkers = 2\nin_memory = true')
    assert account(start_server(config=file)) == "111111111111"
    server = start_server(config=file, environment={"JEDLIK_ACCOUNT": "222222222222", "JEDLIK_WORKERS": "3"})
    assert account(server) == "222222222222"
    announced = server.log_lines()[0]
    # The tests' own `--workers 1` is on the command line.
    assert (announced["workers"], announced["data_dir"]) == (1, "memory")
    assert [line for line in server.log_lines() if line["message"] == "request"]
    server = start_server(config=file, account="333333333333", environment={"JEDLIK_ACCOUNT": "222222222222"})
    assert account(server) == "333333333333"


def account(server: Server) -> str:
    arn: str = server.client().create_table(
        TableName="arn",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )["TableDescription"]["TableArn"]
    return arn.split(":")[4]


SECRET = "a-secret-of-no-less-than-32-characters"


def test_the_file_names_the_served_regions_and_the_endpoints_of_others(tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text('[regions.us-east-1]\n[regions.eu-west-1]\nendpoint = "https://eu.example.com:8000"\n')
    settings = Settings(**from_file(file), peer_secret=(SECRET,))
    assert settings.served == ("us-east-1",)
    assert settings.peers == {"eu-west-1": Peer("https://eu.example.com:8000")}
    assert SECRET not in repr(settings)
    assert settings.serves("us-east-1")
    assert not settings.serves("eu-west-1")
    assert not settings.serves("ap-south-1")


def test_without_region_tables_every_region_is_served_except_those_elsewhere() -> None:
    settings = Settings(peers={"eu-west-1": Peer("http://127.0.0.1:8001")})
    assert settings.serves("us-east-1")
    assert not settings.serves("eu-west-1")


PEER = 'endpoint = "http://127.0.0.1:8001"\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            'regions = "us-east-1,mars.1"',
            "regions: 'mars.1' is not the name of a region: 1 to 64 letters, digits, hyphens and underscores",
        ),
        (
            'auth = "on"\n[regions.mars]',
            "regions: 'mars' is not the name of a region: one of AWS's, with --auth on",
        ),
        (
            '[regions.eu-west-1]\nendpoints = "http://127.0.0.1:8001"',
            "{file}: regions.eu-west-1 must have the string endpoint, or nothing",
        ),
        (
            f"[regions.eu-west-1]\n{PEER.replace('http://127.0.0.1:8001', '127.0.0.1:8001')}",
            "regions.eu-west-1: endpoint must be like https://host:port, not '127.0.0.1:8001'",
        ),
    ],
)
def test_invalid_regions_are_refused(text: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text(text)
    ended = run_jedlik("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), JEDLIK_CONFIG=str(file))
    assert ended.returncode == 2
    assert reason.format(file=file) in ended.stderr


def test_access_keys_of_peers_are_refused_with_the_setting_to_use(tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text(f'[regions.eu-west-1]\n{PEER}access_key = "AKIDEXAMPLE"\nsecret_key = "x"\n')
    ended = run_jedlik("serve", "--port", "0", JEDLIK_CONFIG=str(file))
    assert (ended.returncode, "regions do not know each other by access keys any more" in ended.stderr) == (2, True)
    assert "the same peer_secret (--peer-secret-file)" in ended.stderr


def peers_at(endpoint: str) -> dict[str, Peer]:
    return {"eu-west-1": Peer(endpoint)}


@pytest.mark.parametrize(
    "endpoint", ["http://10.0.0.1:8000", "http://0.0.0.0:8000", "http://db.example.com", "http://localhost.example.com"]
)
@pytest.mark.parametrize("auth", ["on", "off"])
def test_http_to_another_machine_is_refused(endpoint: str, auth: Literal["on", "off"]) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings(auth=auth, peers=peers_at(endpoint), peer_secret=(SECRET,))
    assert str(refused.value) == (
        f"regions.eu-west-1: refusing http to {endpoint}: whoever is on the way could read and change what regions "
        "tell each other. Use https, or a loopback address."
    )


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://db:1"])
def test_https_and_loopback_addresses_are_accepted(endpoint: str) -> None:
    assert Settings(auth="on", peers=peers_at(endpoint), peer_secret=(SECRET,)).peer_secrets == (SECRET,)


def test_http_to_another_machine_keeps_the_server_from_starting(tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text('[regions.eu-west-1]\nendpoint = "http://192.0.2.1:8000"\n')
    ended = run_jedlik("serve", "--port", "0", JEDLIK_CONFIG=str(file), JEDLIK_PEER_SECRET=SECRET)
    assert ended.returncode == 2
    assert "regions.eu-west-1: refusing http to http://192.0.2.1:8000" in ended.stderr


@pytest.mark.parametrize(
    ("auth", "endpoint", "why"),
    [
        ("on", "http://127.0.0.1:1", "with --auth on"),
        ("on", "https://db.example.com", "with --auth on"),
        ("off", "https://db.example.com", "for an endpoint that is not a loopback address"),
    ],
)
def test_a_peer_secret_is_required_unless_all_addresses_are_loopback(
    auth: Literal["on", "off"], endpoint: str, why: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings(auth=auth, peers=peers_at(endpoint))
    assert str(refused.value) == (
        f"regions.eu-west-1: peer_secret is needed {why}: the same secret for the servers of all regions "
        "(--peer-secret-file)"
    )
    assert Settings(auth="off", peers=peers_at("http://127.0.0.1:1")).peer_secrets == OPEN_SECRETS
    assert Settings(auth="on").peer_secrets == ()


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        (("short",), "peer_secret must have 32 to 256 characters of ASCII without spaces"),
        ((SECRET, 257 * "a"), "peer_secret must have 32 to 256 characters"),
        ((32 * "é",), "peer_secret must have 32 to 256 characters"),
        ((SECRET, SECRET + "2", SECRET + "3"), "peer_secret: one secret, or two while they are exchanged"),
    ],
)
def test_invalid_peer_secrets_are_refused(secrets: tuple[str, ...], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as refused:
        Settings(peer_secret=secrets)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (f'peer_secret = "{SECRET}"', (SECRET,)),
        (f'peer_secret = ["{SECRET}", "{SECRET}2"]', (SECRET, SECRET + "2")),
    ],
)
def test_peer_secrets_may_be_in_the_file(text: str, secrets: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.touch(mode=0o600)
    file.write_text(text)
    assert settings_of(["--config", str(file)]).peer_secret == secrets


@pytest.mark.parametrize("text", ["peer_secret = 5", "peer_secret = []", "peer_secret = [5]"])
def test_invalid_peer_secrets_in_the_file_are_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.touch(mode=0o600)
    file.write_text(text)
    with pytest.raises(SettingsError, match="peer_secret must be a string, or a list of two"):
        settings_of(["--config", str(file)])


def test_peer_secrets_in_a_file_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "peer.secret"
    words = ["--peer-secret-file", str(file)]
    with pytest.raises(SettingsError, match=f"cannot read {file}: No such file"):
        settings_of(words)
    file.touch(mode=0o600)
    with pytest.raises(SettingsError, match=f"{file} is empty"):
        settings_of(words)
    file.write_text(f"{SECRET}\n{SECRET}2\n")
    assert settings_of(words).peer_secret == (SECRET, SECRET + "2")
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="must be readable by its owner only: chmod 600"):
        settings_of(words)
    file.chmod(0o600)
    monkeypatch.setenv("JEDLIK_PEER_SECRET", SECRET)
    with pytest.raises(SettingsError, match="the secret is to be in one place only"):
        settings_of(words)
    assert settings_of([]).peer_secret == (SECRET,)


def test_a_peer_secret_in_a_configuration_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text(f'peer_secret = "{SECRET}"')
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="holds a secret and must be readable by its owner only: chmod 600"):
        settings_of(["--config", str(file)])


def test_a_peer_secret_is_not_a_command_line_option() -> None:
    ended = run_jedlik("serve", "--peer-secret", SECRET)
    assert (ended.returncode, "No such option" in ended.stderr) == (2, True)


def test_a_region_cannot_be_here_and_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text(f"[regions.eu-west-1]\n{PEER}")
    ended = run_jedlik("serve", "--port", "0", "--regions", "eu-west-1, us-east-1", JEDLIK_CONFIG=str(file))
    assert "regions: eu-west-1 cannot be served here and have an endpoint elsewhere" in ended.stderr


def test_only_the_regions_that_are_served_answer(start_server: Callable[..., Server]) -> None:
    server = start_server(regions="us-east-1,eu-west-1")
    for region in ("us-east-1", "eu-west-1"):
        assert server.client(region=region).list_tables()["TableNames"] == []
    with pytest.raises(ClientError) as refused:
        server.client(region="ap-south-1").list_tables()
    assert refused.value.response["Error"] == {
        "Code": "InvalidSignatureException",
        "Message": "Credential should be scoped to a valid region, not 'ap-south-1'. ",
    }


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('auth = "maybe"')
    ended = run_jedlik("serve", JEDLIK_CONFIG=str(file))
    assert ended.returncode == 2
    assert ended.stderr == f"jedlik: {file}: auth: 'maybe' is not one of 'on', 'off'.\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("port = ", "{file} is not TOML: "),
        (
            "ports = 1\nhosts = 2",
            "{file}: no such setting: hosts (did you mean host?), ports (did you mean port?)",
        ),
        ("colour = 1", "{file}: no such setting: colour"),
        (None, "cannot read {file}: No such file or directory"),
    ],
)
def test_an_invalid_file_is_refused(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "jedlik.toml"
    if content is not None:
        file.write_text(content)
    ended = run_jedlik("serve", "--config", str(file))
    assert ended.returncode == 2
    assert said.format(file=file) in " ".join(ended.stderr.split())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("workers = true", "workers must be a whole number, not True"),
        ("workers = 1.5", "workers must be a whole number, not 1.5"),
        ('workers = "two"', "workers: 'two' is not a valid integer."),
        ("spin = false", "spin must be a number, not False"),
        ("in_memory = 2", "in_memory must be true or false, not 2"),
        ("auth = true", "auth must be a string, not True"),
        ('auth = "yes"', "auth: 'yes' is not one of 'on', 'off'."),
        ("data_dir = 3", "data_dir must be a string, not 3"),
        ("[root_key]\nfile = 3", "root_key_file must be a string, not 3"),
        (
            'regions = ["eu-west-1", "us-east-1"]',
            "regions must be a string; several values are separated by commas, not ['eu-west-1', 'us-east-1']",
        ),
    ],
)
def test_an_invalid_value_is_refused_with_the_name_of_the_file(content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text(content)
    with pytest.raises(SettingsError) as refusal:
        settings_of(("--config", str(file)))
    assert str(refusal.value) == f"{file}: {said}"


def test_an_invalid_value_of_a_variable_is_refused_with_its_name() -> None:
    ended = run_jedlik("serve", JEDLIK_WORKERS="two")
    assert (ended.returncode, ended.stderr) == (
        2,
        "jedlik: the environment: JEDLIK_WORKERS: 'two' is not a valid integer.\n",
    )


def test_numbers_in_the_file_may_be_texts(tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text('workers = "3"\nspin = 0\naccount = 123456789012\naccess_log = "yes"')
    settings = settings_of(("--config", str(file)))
    assert (settings.workers, settings.spin, settings.account, settings.access_log) == (3, 0, "123456789012", True)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"JEDLIK_ATUH": "on"}, "JEDLIK_ATUH (did you mean JEDLIK_AUTH?)"),
        (
            {"JEDLIK_CONFIG_FILE": "x", "JEDLIK_COLOUR": ""},
            "JEDLIK_COLOUR, JEDLIK_CONFIG_FILE (did you mean JEDLIK_CONFIG?)",
        ),
    ],
)
@pytest.mark.parametrize("command", [("serve",), ("check",), ("credentials", "list")])
def test_an_unknown_variable_is_refused(command: list[str], variables: dict[str, str], said: str) -> None:
    ended = run_jedlik(*command, **variables)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"jedlik: the environment: no such setting: {said}\n"


def test_variables_that_kubernetes_sets_beside_a_service_are_ignored(tmp_path: Path) -> None:
    links = {
        "JEDLIK_SERVICE_HOST": "10.0.0.7",
        "JEDLIK_SERVICE_PORT": "8000",
        "JEDLIK_SERVICE_PORT_HTTP": "8000",
        "JEDLIK_PORT_8000_TCP": "tcp://10.0.0.7:8000",
        "JEDLIK_PORT_8000_TCP_ADDR": "10.0.0.7",
    }
    ended = run_jedlik("credentials", "list", "--data-dir", str(tmp_path), **links)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"port": -1}, "port must not be negative"),
        ({"port": 65_536}, "port must be at most 65535"),
        ({"workers": 1025}, "workers must be at most 1024"),
        ({"workers": -1}, "workers must not be negative"),
        ({"idle_timeout": 0.0}, "idle_timeout must be more than zero"),
        ({"idle_timeout": float("nan")}, "idle_timeout must be more than zero"),
        ({"hang_timeout": float("inf")}, "hang_timeout must not be infinite"),
        ({"max_requests": 0}, "max_requests must be more than zero"),
        ({"spin": 0.02}, "spin must be at most 0.01"),
        ({"spin": -0.1}, "spin must not be negative"),
        ({"spin": math.nan}, "spin must not be negative"),
        ({"max_tables": 0}, "max_tables must be more than zero"),
        ({"max_tables": 10_001}, "max_tables must be at most 10000"),
        ({"account": "12"}, "account must have 12 digits, not '12'"),
        ({"account": "12345678901x"}, "account must have 12 digits, not '12345678901x'"),
        ({"account": "12345678901\u0661"}, "account must have 12 digits, not '12345678901\u0661'"),
        (
            {"auth": "on", "allowed_origins": "https://db"},
            "allowed_origins is for --auth off: with on, any page may ask",
        ),
        *(
            ({"allowed_hosts": f"db,{name}"}, f"allowed_hosts: '{name}' is not a name or address, without a port")
            for name in ("db:8000", "http://db", "*", "", "a b", "[::1]:80")
        ),
        *(
            (
                {"allowed_origins": f"https://a.example, {origin}"},
                f"allowed_origins: '{origin}' is not like https://name:port, or null",
            )
            for origin in ("*", "db", "https://a/", "", "HTTPS://a")
        ),
        ({"tls_cert": Path("x")}, "tls_cert and tls_key must be given together"),
        (
            {"host": "0.0.0.0"},
            "refusing to listen on 0.0.0.0 with --auth off: anybody who reaches this address could read and change "
            "everything. Use --auth on (and `jedlik credentials create`), or listen on 127.0.0.1. For tests in a "
            "network of their own, --allow-unauthenticated permits it.",
        ),
        (
            {"host": "0.0.0.0", "allow_unauthenticated": True},
            "with --allow-unauthenticated on 0.0.0.0, --allowed-hosts must name the hosts that clients ask for, or any "
            "web page could reach the server under a name of its own",
        ),
        ({"auth": "on", "allow_unauthenticated": True}, "allow_unauthenticated is for --auth off"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings(**settings)  # type: ignore[arg-type]
    assert str(refused.value) == said


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost"])
def test_auth_may_be_off_on_loopback_addresses(host: str) -> None:
    assert Settings(host=host).auth == "off"


def test_auth_on_may_listen_anywhere() -> None:
    assert Settings(host="0.0.0.0", auth="on").host == "0.0.0.0"


# What cannot be started.


def refused(*arguments: str) -> str:
    """The messages when a server cannot start."""
    ended = run_jedlik("serve", "--workers", "1", *arguments)
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_without_auth_on_all_addresses(host: str) -> None:
    assert refused("--host", host).startswith(f"jedlik: refusing to listen on {host} with --auth off: ")


def test_on_an_invalid_host() -> None:
    assert refused("--host", "no.such.host.invalid").startswith("jedlik: cannot listen on no.such.host.invalid: ")


def test_on_a_host_whose_name_is_too_long() -> None:
    assert refused("--host", "a" * 70).startswith(f"jedlik: cannot listen on {'a' * 70}: ")


def test_on_an_invalid_port() -> None:
    assert refused("--port", "99999") == "jedlik: port must be at most 65535\n"


def test_on_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--port", str(port), "--data-dir", str(tmp_path))
    reason = "another program listens there: stop it, or choose another port"
    assert said.splitlines()[0] == f"jedlik: cannot listen on 127.0.0.1:{port}: {reason}"


def test_on_a_data_folder_that_is_taken(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server()
    folder = tmp_path / "data"
    said = (
        f"jedlik: the data directory {folder} is in use by another Jedlik (process {server.pid}): stop it, or name "
        "another folder (--data-dir)\n"
    )
    assert refused("--port", "0", "--data-dir", str(folder)) == said
    server.kill()
    server.restart()


def test_on_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.touch()
    said = f"jedlik: cannot use the data directory {folder}: it is not a folder\n"
    assert refused("--port", "0", "--data-dir", str(folder)) == said


@pytest.mark.parametrize(
    ("backups", "reason"),
    [
        (
            "s3://my-bucket/backups",
            "backups must be a folder, or bucket://NAME/FOLDER with a table [buckets.NAME] in the configuration file, "
            "not 's3://my-bucket/backups'",
        ),
        ("{folder}/file", "backups: {folder}/file is not a folder"),
    ],
)
def test_on_a_place_of_backups_that_cannot_be_one(backups: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    given = backups.format(folder=tmp_path)
    said = refused("--port", "0", "--data-dir", str(tmp_path / "data"), "--backups", given)
    assert said == f"jedlik: {reason.format(folder=tmp_path)}\n"


def test_on_an_invalid_store(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.mkdir(parents=True)
    (store / "data.mdb").write_bytes(b"nonsense" * 1000)
    said = refused("--port", "0", "--data-dir", str(tmp_path))
    line = json.loads(said)
    assert line["level"] == "error"
    assert line["message"].startswith(f"cannot use the data directory {tmp_path}: ")


def test_with_an_invalid_certificate(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.touch()
    said = refused("--tls-cert", str(file), "--tls-key", str(file), "--data-dir", str(tmp_path))
    assert said.startswith(f"jedlik: cannot use the certificate {file} with the key {file}: ")


def test_with_access_keys_that_others_can_read(tmp_path: Path) -> None:
    keys = tmp_path / "credentials.json"
    keys.write_text("{}")
    keys.chmod(0o644)
    said = refused("--auth", "on", "--data-dir", str(tmp_path), "--port", "0")
    assert said == f"jedlik: {keys} must be readable by its owner only: chmod 600 {keys}\n"
