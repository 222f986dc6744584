"""DAX over TLS, with the server's certificate: `daxs://`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from amazondax import AmazonDaxClient

from testing.certificates import self_signed
from testing.dax.raw_client import RawClient, authorization, preamble
from testing.jedlik_process import Server


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for this machine, and its key."""
    return self_signed(tmp_path)


def test_daxs(
    start_server: Callable[..., Server], certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server(in_memory=True, dax=True, dax_port=0, tls_cert=certificate[0], tls_key=certificate[1])
    assert server.dax_url.startswith("daxs://127.0.0.1:")
    server.client(verify=str(certificate[0])).create_table(
        TableName="sealed",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    item = {"p": {"S": "k"}, "v": {"S": "x" * 300_000}}
    with AmazonDaxClient(
        endpoint_url=server.dax_url, region_name="us-east-1", aws_access_key_id="AK", aws_secret_access_key="SK"
    ) as dax:
        dax.put_item(TableName="sealed", Item=item)
        for _ in range(2):
            assert dax.get_item(TableName="sealed", Key={"p": item["p"]})["Item"] == item
    [cluster] = server.client("dax", verify=str(certificate[0])).describe_clusters()["Clusters"]
    assert cluster["ClusterEndpointEncryptionType"] == "TLS"
    assert cluster["ClusterDiscoveryEndpoint"]["URL"] == server.dax_url
    with RawClient(server.dax_url) as plain:
        plain.send(preamble(), authorization())
        assert plain.ends()
