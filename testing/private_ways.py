"""VPC endpoints of a server, for tests: their settings, and clients that come by them."""

from __future__ import annotations

from typing import Any

from testing.jedlik_process import Server

ACCOUNT = "000000000000"
ENDPOINT, OTHER = "vpce-0123456789abcdef0", "vpce-89abcdef"
VPC = "vpc-0123456789abcdef0"
USER = "bob"
KEY = {"p": {"S": "x"}}


def settings(endpoint: str, **given: str) -> str:
    """The table of an endpoint in the configuration file."""
    values = {"listen": "127.0.0.1:0", "vpc_id": VPC, "region": "us-east-1", **given}
    lines = "".join(f"{name} = '''{value}'''\n" for name, value in values.items() if value)
    return f"[vpc_endpoints.{endpoint}]\n{lines}"


def by(server: Server, endpoint: str | None, service: str = "dynamodb", **options: Any) -> Any:
    """A client that comes by an endpoint, or by the ordinary port."""
    url = server.url if endpoint is None else server.vpc_endpoint(endpoint)
    return server.client(service, endpoint_url=url, **options)
