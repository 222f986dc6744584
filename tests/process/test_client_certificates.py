"""Mutual TLS: clients show a certificate, or are refused in the handshake; policies know whom it names."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from amazondax import AmazonDaxClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from cryptography import x509
from cryptography.x509.oid import NameOID

from jedlik.wire.certificates import CertificateError, CertificateFiles, Certificates
from testing.certificates import CLIENT, SERVER, Authority, Pair
from testing.dax.raw_client import RawClient, authorization, preamble
from testing.identities import answer, policy
from testing.jedlik_process import Server, eventually
from testing.raw_http import Wire, request

ROLE = "arn:aws:iam::000000000000:role/dax"
KEY = {"p": {"S": "k"}}
APP = "CN=app,OU=music\\, live,O=Example"
"""The subject of the app's certificate, in which a comma is escaped and the last component is the first."""
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class Site(NamedTuple):
    """Servers that ask for certificates, and those who issue them."""

    servers: Authority
    clients: Authority
    required: Server
    optional: Server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("mutual")
    servers, clients = Authority(folder, "servers"), Authority(folder, "clients")
    own = servers.issue("server", usage=SERVER)

    def started(name: str, **options: Any) -> Server:
        files: dict[str, Any] = {"tls_cert": own.certificate, "tls_key": own.key, "tls_client_ca": clients.file}
        return Server(
            folder / f"{name}.log", data_dir=folder / name, credentials=folder / f"{name}.keys", **files, **options
        )

    required = started("required", auth="on", dax=True, dax_port=0, dax_role=ROLE, access_log=True)
    optional = started("optional", tls_client_certs="optional", in_memory=True, auth="on")
    yield Site(servers, clients, required, optional)
    required.kill()
    optional.kill()


@pytest.fixture(scope="module")
def app(site: Site) -> Pair:
    """An application's certificate."""
    names = ((NameOID.ORGANIZATION_NAME, "Example"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "music, live"))
    parts = [x509.NameAttribute(*one) for one in (*names, (NameOID.COMMON_NAME, "app"))]
    return site.clients.issue("app", subject=x509.Name(parts), usage=CLIENT)


def client(site: Site, server: Server, shown: Pair | None, service: str = "dynamodb", **keys: str) -> Any:
    """A client of boto3 that shows a certificate."""
    config = Config(client_cert=shown and (str(shown.certificate), str(shown.key)), retries={"total_max_attempts": 1})
    return server.client(service, verify=str(site.servers.file), config=config, **keys)


def context(site: Site, shown: Pair | None, version: ssl.TLSVersion) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(site.servers.file))
    made.minimum_version = made.maximum_version = version
    if shown is not None:
        made.load_cert_chain(*shown)
    return made


def is_served(server: Server, secured: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket | None:
    """A connection that has had an answer; None if it was closed before."""
    wire = Wire(server.port)
    try:
        made = secured.wrap_socket(wire.socket, server_hostname="localhost", session=session)
        wire.socket = made
        wire.send(request(method=b"GET", target=b"/healthz"))
        assert wire.receive().status == 200
    except (OSError, EOFError):  # With TLS 1.3, the client has finished the handshake before it is refused.
        wire.socket.close()
        return None
    return made


def refused_shows(site: Site) -> dict[str, Pair | None]:
    return {
        "none": None,
        "another authority's": Authority(site.clients.file.parent, "strangers").issue("stranger", usage=CLIENT),
        "one by the servers' authority": site.servers.issue("of-servers", usage=CLIENT),
        "an expired one": site.clients.issue("expired", usage=CLIENT, lifetime=timedelta(seconds=-1)),
        "a server's": site.clients.issue("no-client", usage=SERVER),
    }


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_who_shows_no_valid_certificate_is_refused_in_the_handshake(
    site: Site, app: Pair, version: ssl.TLSVersion
) -> None:
    for name, shown in refused_shows(site).items():
        assert is_served(site.required, context(site, shown, version)) is None, name
        assert (is_served(site.optional, context(site, shown, version)) is not None) is (shown is None), name
    for server in (site.required, site.optional):
        served = is_served(server, context(site, app, version))
        assert served is not None
        served.close()


def test_the_reason_is_logged(site: Site) -> None:
    expired = site.clients.issue("expired", usage=CLIENT, lifetime=timedelta(seconds=-1))

    def is_logged() -> bool:
        assert is_served(site.required, context(site, expired, TLS13)) is None
        lines = [one for one in site.required.log_lines() if one["message"] == "a TLS handshake failed"]
        return any(one["reason"] == "certificate has expired" and one["client"] == "127.0.0.1" for one in lines)

    eventually(is_logged)


def test_boto3(site: Site, app: Pair) -> None:
    with pytest.raises(BotoCoreError):
        client(site, site.required, None).list_tables()
    assert "TableNames" in client(site, site.required, app).list_tables()
    assert "TableNames" in client(site, site.optional, None).list_tables()


@pytest.fixture(scope="module")
def bob(site: Site, app: Pair) -> dict[str, str]:
    """The access key of a user, of the server where a certificate is required and of that where it is not."""
    made: dict[str, str] = {}
    for server in (site.required, site.optional):
        client(site, server, app).create_table(
            TableName="things",
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        iam = client(site, server, app, "iam")
        iam.create_user(UserName="bob")
        key = iam.create_access_key(UserName="bob")["AccessKey"]
        made |= {f"{server.url} id": key["AccessKeyId"], f"{server.url} secret": key["SecretAccessKey"]}
    return made


def keys_at(bob: dict[str, str], server: Server) -> dict[str, str]:
    return {
        "aws_access_key_id": bob[f"{server.url} id"],
        "aws_secret_access_key": bob[f"{server.url} secret"],
    }


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"jedlik:TlsClientSubject": APP}}, True),
        ({"StringEquals": {"JEDLIK:tlsclientsubject": APP}}, True),
        ({"StringLike": {"jedlik:TlsClientSubject": "CN=*,O=Example"}}, True),
        ({"StringEquals": {"jedlik:TlsClientSubject": "CN=app"}}, False),
        ({"Null": {"jedlik:TlsClientSubject": "true"}}, False),
    ],
)
def test_policies_know_whom_a_certificate_names(
    site: Site, app: Pair, bob: dict[str, str], condition: dict[str, Any], expected: bool
) -> None:
    statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*", "Condition": condition}
    iam = client(site, site.required, app, "iam")
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(statement))
    asking = client(site, site.required, app, **keys_at(bob, site.required))
    for _ in range(3):  # The first, one that is decided by what was kept, and one by the short way.
        found = answer(asking.get_item, TableName="things", Key=KEY)
        assert found == ("allowed" if expected else "AccessDeniedException")


def test_each_connection_has_its_own(site: Site, app: Pair, bob: dict[str, str]) -> None:
    """Also those of one user, and those that show none where they need not; a header names nobody."""
    server = site.optional
    iam = client(site, server, app, "iam")
    condition = {"StringEquals": {"jedlik:TlsClientSubject": APP}}
    statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*", "Condition": condition}
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(statement))
    other = site.clients.issue("other", usage=CLIENT)
    clients = {
        name: client(site, server, shown, **keys_at(bob, server))
        for name, shown in (("app", app), ("other", other), ("none", None))
    }
    for one in clients.values():
        one.meta.events.register(
            "before-sign.*",
            lambda request, **_: request.headers.add_header("jedlik-TlsClientSubject", APP),
        )
    for _ in range(3):
        found = {name: answer(one.get_item, TableName="things", Key=KEY) for name, one in clients.items()}
        assert found == {"app": "allowed", "other": "AccessDeniedException", "none": "AccessDeniedException"}


def test_a_tables_own_policy_may_ask_for_a_certificate(site: Site, app: Pair, bob: dict[str, str]) -> None:
    server = site.optional
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "dynamodb:GetItem",
        "Resource": "*",
        "Condition": {"Null": {"jedlik:TlsClientSubject": "true"}},
    }
    iam, admin = client(site, server, app, "iam"), client(site, server, app)
    statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(statement))
    arn = admin.describe_table(TableName="things")["Table"]["TableArn"]
    admin.put_resource_policy(ResourceArn=arn, Policy=policy(deny | {"Resource": arn}))
    try:
        found = [
            answer(client(site, server, shown, **keys_at(bob, server)).get_item, TableName="things", Key=KEY)
            for shown in (app, None)
        ]
        assert found == ["allowed", "AccessDeniedException"]
    finally:
        admin.delete_resource_policy(ResourceArn=arn)


def test_daxs_asks_for_certificates_too(
    site: Site, app: Pair, bob: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = site.required
    for shown in (None, site.servers.issue("of-servers", usage=CLIENT)):
        with RawClient(server.dax_url) as raw:
            try:
                raw.socket = context(site, shown, TLS13).wrap_socket(raw.socket, server_hostname="localhost")
                raw.send(preamble(), authorization())
                raw.socket.recv(1)
            except OSError:
                continue
            assert raw.ends()
    iam = client(site, server, app, "iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "dax.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="dax", AssumeRolePolicyDocument=policy(trust))
    everything = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    iam.put_role_policy(RoleName="dax", PolicyName="tables", PolicyDocument=policy(everything))
    condition = {"StringEquals": {"jedlik:TlsClientSubject": APP}}
    statement = {"Effect": "Allow", "Action": "dax:GetItem", "Resource": "*", "Condition": condition}
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(statement))
    found = []
    for shown in (app, site.clients.issue("other", usage=CLIENT)):
        monkeypatch.setattr(ssl, "create_default_context", _showing(site, shown, ssl.create_default_context))
        with AmazonDaxClient(endpoint_url=server.dax_url, region_name="us-east-1", **keys_at(bob, server)) as dax:
            found += [answer(dax.get_item, TableName="things", Key=KEY) for _ in range(2)]
        monkeypatch.undo()
    assert found == ["allowed"] * 2 + ["AccessDeniedException"] * 2


def _showing(site: Site, shown: Pair, make: Callable[..., ssl.SSLContext]) -> Callable[[], ssl.SSLContext]:
    def made() -> ssl.SSLContext:
        secured = make(cafile=str(site.servers.file))
        secured.load_cert_chain(*shown)
        return secured

    return made


def test_no_session_is_resumed_without_its_certificate(site: Site, app: Pair) -> None:
    """TLS 1.3 and tickets: not at all. TLS 1.2 by its number: no longer than the certificate is good."""
    secured = context(site, app, TLS13)
    first = is_served(site.required, secured)
    assert first is not None
    assert first.session is None or not first.session.has_ticket
    first.close()
    for seconds in (2, 8, 32):  # The machine may be so busy that it expires before it is used.
        brief = context(site, site.clients.issue("brief", usage=CLIENT, lifetime=timedelta(seconds=seconds)), TLS12)
        first = is_served(site.required, brief)
        if first is None:
            continue
        session = first.session
        assert session is not None
        assert not session.has_ticket
        first.unwrap().close()  # A session that ends otherwise is never resumed.
        eventually(lambda: is_served(site.required, brief, session) is None)  # noqa: B023
        return
    raise AssertionError("the certificate has always expired before it was used")


# The files.


def test_settings(start_server: Callable[..., Server], tmp_path: Path) -> None:
    authority = Authority(tmp_path, "one")
    own = authority.issue("server")
    pair = {"tls_cert": own.certificate, "tls_key": own.key}
    for options, message in (
        ({"tls_client_ca": authority.file}, "tls_client_ca is for HTTPS: it needs tls_cert and tls_key"),
        ({**pair, "tls_client_certs": "optional"}, "tls_client_certs needs tls_client_ca"),
        ({**pair, "tls_client_crl": tmp_path / "none"}, "tls_client_crl needs tls_client_ca"),
        (
            {**pair, "tls_client_ca": tmp_path / "none"},
            "cannot use the authorities of clients in .*none: .*No such file",
        ),
    ):
        with pytest.raises(AssertionError, match=re.escape("the server ended with 2")) as ended:
            start_server(**options)
        assert re.search(message, str(ended.value))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot use the authorities of clients in"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot use the authorities of clients in"),
        (
            "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
            "has a revocation list, which needs a file of its own",
        ),
        ("\xff", "cannot use the authorities of clients in"),
    ],
)
def test_authorities_that_cannot_be_used(tmp_path: Path, content: str, message: str) -> None:
    own = Authority(tmp_path, "one").issue("server")
    file = tmp_path / "authorities.pem"
    file.write_text(content, "latin-1")
    with pytest.raises(CertificateError, match=message):
        Certificates(CertificateFiles(own.certificate, own.key, file))


# Revocation lists.


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_certificate_that_is_revoked_is_refused(
    start_server: Callable[..., Server], tmp_path: Path, version: ssl.TLSVersion
) -> None:
    servers, clients = Authority(tmp_path, "servers"), Authority(tmp_path, "clients")
    own, app, other = servers.issue("server", usage=SERVER), clients.issue("app"), clients.issue("other")
    files = {"tls_cert": own.certificate, "tls_key": own.key, "tls_client_ca": clients.file}
    server = start_server(**files, tls_client_crl=clients.revoke(), workers=1)
    site = Site(servers, clients, server, server)

    def serves(shown: Pair) -> bool:
        connection = is_served(server, context(site, shown, version))
        if connection is not None:
            connection.close()
        return connection is not None

    assert (serves(app), serves(other)) == (True, True)
    clients.revoke(app)
    eventually(lambda: not serves(app))
    assert serves(other)
    clients.revoke(lifetime=timedelta(seconds=-1))
    eventually(lambda: not serves(other))
    known = {"certificate revoked", "CRL has expired"}
    eventually(lambda: any(one.get("reason") in known for one in server.log_lines()))
    clients.revoke(other)
    eventually(lambda: serves(app))
    assert not serves(other)


def test_an_open_connection_does_not_outlive_a_revocation(start_server: Callable[..., Server], tmp_path: Path) -> None:
    servers, clients = Authority(tmp_path, "servers"), Authority(tmp_path, "clients")
    own, app, other = servers.issue("server", usage=SERVER), clients.issue("app"), clients.issue("other")
    files = {"tls_cert": own.certificate, "tls_key": own.key, "tls_client_ca": clients.file}
    server = start_server(**files, tls_client_crl=clients.revoke(), in_memory=True, dax=True, dax_port=0)
    site = Site(servers, clients, server, server)
    revoked, valid = (is_served(server, context(site, shown, TLS13)) for shown in (app, other))
    assert revoked is not None
    assert valid is not None
    with RawClient(server.dax_url) as raw:
        raw.socket = context(site, app, TLS13).wrap_socket(raw.socket, server_hostname="localhost")
        raw.send(preamble(), authorization())
        servers.issue("server", usage=SERVER)  # Another certificate of the server ends nothing.
        eventually(lambda: any(one["message"] == "certificates read again" for one in server.log_lines()))
        assert not is_last(revoked)
        clients.revoke(app)
        assert raw.ends()
    for open_one in (revoked, valid):
        eventually(lambda: is_last(open_one))  # noqa: B023
        assert open_one.recv(1) == b""
        open_one.close()
    assert is_served(server, context(site, app, TLS13)) is None
    again = is_served(server, context(site, other, TLS13))
    assert again is not None
    again.close()


def is_last(connection: ssl.SSLSocket) -> bool:
    """Whether the next answer on a connection announces that it is the last."""
    wire = Wire.__new__(Wire)
    wire.socket, wire._buffer = connection, b""
    wire.send(request(method=b"GET", target=b"/healthz"))
    answer = wire.receive()
    assert answer.status == 200
    return answer.headers["connection"] == "close"


def test_revocation_lists_that_cannot_be_used(tmp_path: Path) -> None:
    clients = Authority(tmp_path, "one")
    own = clients.issue("server")
    good = clients.revoke().read_text()
    file = tmp_path / "lists.pem"
    for content, message in (
        ("", "must have revocation lists in PEM, and nothing else"),
        (good + own.certificate.read_text(), "must have revocation lists in PEM, and nothing else"),
        ("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "cannot use the revocation lists in"),
        (good, None),
    ):
        file.write_text(content)
        files = CertificateFiles(own.certificate, own.key, clients.file, revocation_lists=file)
        if message is None:
            Certificates(files)
            continue
        with pytest.raises(CertificateError, match=message):
            Certificates(files)
