"""Amazon's DAX clients of other languages are answered through DAX as by the table itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.dax.certificates import self_signed
from testing.jedlik_process import Server
from tests.clients.foreign import DAX_PROGRAMS, Foreign

CASES = ("items", "updates", "conditions", "queries", "scans", "batches", "transactions", "errors")
"""The cases of every program."""
MORE = {"dax_javascript": ("document",)}
"""Those that one program has besides."""


@pytest.fixture(scope="module", params=DAX_PROGRAMS, ids=lambda program: program.name)
def program(request: pytest.FixtureRequest) -> Foreign:
    found: Foreign = request.param
    found.installed()
    return found


@pytest.fixture(scope="module")
def dax_server(program: Foreign, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    running = Server(folder / "log", data_dir=folder / "data", dax=True, dax_port=0)
    yield running
    running.kill()


PASSWORD = "changeit"


def test_a_client_of_dax_over_tls(program: Foreign, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    trusted = {"NODE_EXTRA_CA_CERTS": str(certificate)}
    if "java" in program.tools:
        store = tmp_path / "trusted.p12"
        making = ["keytool", "-importcert", "-noprompt", "-storetype", "PKCS12", "-alias", "jedlik"]
        making += ["-file", str(certificate), "-keystore", str(store), "-storepass", PASSWORD]
        subprocess.run(making, check=True, capture_output=True)
        options = f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword={PASSWORD}"
        trusted = {"JAVA_TOOL_OPTIONS": options}
    server = Server(
        tmp_path / "log", data_dir=tmp_path / "data", dax=True, dax_port=0, tls_cert=certificate, tls_key=key
    )
    try:
        assert server.dax_url.startswith("daxs://")
        assert program.failures(server, ("items",), DAX_ENDPOINT=server.dax_url, **trusted) == {"items": None}
    finally:
        server.kill()


def test_a_client_of_dax_is_answered_as_by_the_table(program: Foreign, dax_server: Server) -> None:
    cases = CASES + MORE.get(program.name, ())
    failures = program.failures(dax_server, cases, DAX_ENDPOINT=dax_server.dax_url)
    assert failures == dict.fromkeys(cases)
    assert not [line for line in dax_server.log_lines() if line["level"] in ("warning", "error")]
