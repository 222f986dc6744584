"""Revocation lists of several authorities: those between clients and their root are looked up, too."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from jedlik.wire.certificates import CertificateError, CertificateFiles, Certificates
from testing.certificates import SERVER, Authority, Pair, put
from testing.jedlik_process import Server, eventually
from testing.raw_http import Wire, request

PAST = timedelta(seconds=-1)
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class Site:
    """A server, with a root, two authorities below it, and a client of each of the three."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers = Authority(folder, "servers")
        self.own = self.servers.issue("server", usage=SERVER)
        self.root = Authority(folder, "root")
        self.music, self.films = Authority(folder, "music", self.root), Authority(folder, "films", self.root)
        self.clients = {
            "of-root": self.root.issue("of-root"),
            "of-music": self.music.issue("of-music"),
            "of-films": self.films.issue("of-films"),
        }
        self.lists = folder / "lists.pem"

    def put(self, *lists: Path, file: Path | None = None) -> None:
        """Put lists together into one file."""
        put(file or self.lists, b"".join(one.read_bytes() for one in lists))

    def served(self, port: int, version: ssl.TLSVersion) -> set[str]:
        return {name for name, shown in self.clients.items() if self.is_served(port, shown, version)}

    def is_served(self, port: int, shown: Pair, version: ssl.TLSVersion) -> bool:
        secured = ssl.create_default_context(cafile=str(self.servers.file))
        secured.minimum_version = secured.maximum_version = version
        secured.load_cert_chain(*shown)
        wire = Wire(port)
        try:
            wire.socket = secured.wrap_socket(wire.socket, server_hostname="localhost")
            wire.send(request(method=b"GET", target=b"/healthz"))
            return wire.receive().status == 200
        except (OSError, EOFError):  # With TLS 1.3, the client has finished the handshake before it is refused.
            return False
        finally:
            wire.socket.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def logged(server: Server, text: str) -> bool:
    return any(text in one["message"] for one in server.log_lines())


def test_authorities_between_are_looked_up(start_server: Callable[..., Server], site: Site) -> None:
    """At listeners that begin with the same lists, each in a file of its own, and get others at once."""
    root, music, films = site.root, site.music, site.films
    fine = [root.revoke(), music.revoke(), films.revoke()]
    everybody = set(site.clients)
    cases = {"fine": everybody, "leaf": {"of-root", "of-films"}, "between": {"of-root", "of-films"}}
    cases |= {"expired": {"of-root", "of-music"}, "missing": {"of-root"}, "no root": set()}
    endpoints, text = {name: f"vpce-{place:08x}" for place, name in enumerate(cases)}, ""
    files = {name: site.folder / f"{name}.pem" for name in cases}
    for name, endpoint in endpoints.items():
        site.put(*fine, file=files[name])
        text += (
            f'[vpc_endpoints.{endpoint}]\nlisten = "127.0.0.1:0"\nvpc_id = "vpc-0a1b2c3d"\nregion = "us-east-1"\n'
            f'tls_cert = "{site.own.certificate}"\ntls_key = "{site.own.key}"\n'
            f'tls_client_ca = "{root.file}"\ntls_client_crl = "{files[name]}"\n'
        )
    settings = site.folder / "jedlik.toml"
    settings.write_text(text)
    server = start_server(config=settings, in_memory=True)
    ports = {name: urlsplit(server.vpc_endpoint(endpoint)).port or 0 for name, endpoint in endpoints.items()}

    def served(version: ssl.TLSVersion) -> dict[str, set[str]]:
        return {name: site.served(port, version) for name, port in ports.items()}

    assert served(TLS12) == dict.fromkeys(cases, everybody)
    site.put(root.revoke(), music.revoke(site.clients["of-music"]), films.revoke(), file=files["leaf"])
    site.put(root.revoke(music), music.revoke(), films.revoke(), file=files["between"])
    site.put(root.revoke(), music.revoke(), films.revoke(lifetime=PAST), file=files["expired"])
    site.put(root.revoke(), file=files["missing"])
    site.put(music.revoke(), films.revoke(), file=files["no root"])
    eventually(lambda: served(TLS12) == cases)
    assert served(TLS13) == cases
    eventually(lambda: logged(server, "every client that shows a certificate is refused"))
    assert logged(server, "clients are refused: there is none of CN=root")
    for name in cases:
        site.put(root.revoke(), music.revoke(), films.revoke(), file=files[name])
    eventually(lambda: served(TLS13) == dict.fromkeys(cases, everybody))


def test_a_start_with_lists_that_refuse_everybody(start_server: Callable[..., Server], site: Site) -> None:
    site.put(site.root.revoke(lifetime=PAST))
    own = {"tls_cert": site.own.certificate, "tls_key": site.own.key}
    server = start_server(**own, tls_client_ca=site.root.file, tls_client_crl=site.lists, in_memory=True)
    eventually(lambda: logged(server, "every client that shows a certificate is refused"))
    assert logged(server, "clients are refused: that of CN=root has expired")


def made(site: Site, *authorities: Authority) -> Certificates:
    file = site.folder / "authorities.pem"
    file.write_bytes(b"".join(one.file.read_bytes() for one in authorities))
    files = CertificateFiles(site.own.certificate, site.own.key, file, revocation_lists=site.lists)
    return Certificates(files)


def client_with(shown: Pair) -> ssl.SSLContext:
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    secured.check_hostname, secured.verify_mode = False, ssl.CERT_NONE
    secured.maximum_version = TLS12
    secured.load_cert_chain(*shown)
    return secured


def accepts(by: Certificates, shown: Pair) -> bool:
    """Whether a handshake in memory lets a client in."""
    return connected(by, client_with(shown)) is not None


def connected(
    by: Certificates, secured: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLSession | None, bool] | None:
    """The session of a connection in memory that has ended properly, and whether it is a former one; None if the client
    was refused."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = secured.wrap_bio(down, up, session=session)
    server = by.context.wrap_bio(up, down, server_side=True)
    for step in ("do_handshake", "unwrap"):
        for _ in range(4):
            for side in (client, server):
                try:
                    getattr(side, step)()
                except ssl.SSLWantReadError:
                    continue
                except ssl.SSLError:
                    if step == "do_handshake":
                        return None
    return client.session, bool(client.session_reused)


def test_an_authority_that_is_trusted_without_its_issuer(site: Site) -> None:
    """It is, if it issues to clients alone; with others the message names it."""
    flat = Authority(site.folder, "flat", site.root, path_length=0)
    below = Authority(site.folder, "below", site.music)
    client, other = flat.issue("of-flat"), flat.issue("other")
    site.put(flat.revoke(other))
    found = made(site, flat)
    assert (accepts(found, client), accepts(found, other)) == (True, False)
    assert found.gaps(datetime.now(UTC)) is None
    for authorities, named in (
        ((site.music,), "CN=music must"),
        ((site.root, below), "CN=below must"),
        ((flat, site.servers), "CN=flat must"),
    ):
        with pytest.raises(CertificateError, match=f"would go unnoticed: {named} be there with its issuers"):
            made(site, *authorities)
    site.put(site.root.revoke(), site.music.revoke(), below.revoke(), flat.revoke(other))
    found = made(site, site.root, site.music, below)
    known = {name: accepts(found, shown) for name, shown in {**site.clients, "below": below.issue("b")}.items()}
    assert known == {"of-root": True, "of-music": True, "of-films": False, "below": True}
    assert (accepts(found, client), accepts(found, other)) == (True, False)
    site.music.revoke(below)
    site.put(site.root.revoke(), site.music.revoke(below), below.revoke())
    assert not accepts(made(site, site.root, below, site.music), below.issue("b"))


def test_a_list_of_somebody_else_with_the_same_name_counts_for_nothing(site: Site) -> None:
    false = Authority(site.folder / "..", "root")
    site.put(false.revoke())
    found = made(site, site.root)
    gaps = found.gaps(datetime.now(UTC))
    assert gaps is not None
    assert (gaps.texts, gaps.refuse_all) == (("there is none of CN=root",), True)
    assert not accepts(found, site.clients["of-root"])


def test_when_lists_are_missing(site: Site) -> None:
    now = datetime.now(UTC)
    site.put(site.root.revoke(), site.servers.revoke())
    found = made(site, site.root, site.servers)
    assert found.gaps(now) is None
    later = found.gaps(now + timedelta(days=2))
    assert later is not None
    assert later.refuse_all
    assert [text.split(",")[0] for text in later.texts] == [
        "that of CN=root has expired",
        "that of CN=servers has expired",
    ]
    early = found.gaps(now - timedelta(days=2))
    assert early is not None
    assert early.texts[0] == "that of CN=root is not valid yet"
    site.put(site.root.revoke())
    gaps = made(site, site.root, site.servers).gaps(now)
    assert gaps == (("there is none of CN=servers",), False)


def test_no_session_outlives_its_list(site: Site) -> None:
    """TLS 1.2 resumes one by its number, and then nobody is looked up."""
    shown = client_with(site.clients["of-root"])
    for seconds in (2, 8, 32):  # The machine may be so busy that the list expires before it is used.
        site.put(site.root.revoke(lifetime=timedelta(seconds=seconds)))
        found = made(site, site.root)
        first = connected(found, shown)
        if first is None or connected(found, shown, first[0]) is None:
            continue
        eventually(lambda: found.gaps(datetime.now(UTC)) is not None)  # noqa: B023
        assert connected(found, shown, first[0]) == (first[0], True), "until it is looked at again"
        found.look()
        assert connected(found, shown, first[0]) is None
        return
    raise AssertionError("the list has always expired before it was used")


def test_no_session_outlives_a_revocation(site: Site) -> None:
    shown = client_with(site.clients["of-music"])
    site.put(site.root.revoke(), site.music.revoke())
    found = made(site, site.root)
    first = connected(found, shown)
    assert first is not None
    assert connected(found, shown, first[0]) == (first[0], True)
    site.put(site.root.revoke(site.music), site.music.revoke())
    found.look()
    assert found.look()
    assert connected(found, shown, first[0]) is None
